"""The small parts of jobs: identities, private logs, estimates of disk and memory, executors, doctor's facts."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from astrotui.config import kernels_digest, places
from astrotui.errors import JobError
from astrotui.jobs import estimates, logs, owner
from astrotui.jobs.environment import Fact, container, facts, kills_user_processes
from astrotui.jobs.executors import executor
from astrotui.jobs.handlers import HANDLERS, find_handler
from astrotui.text import size
from tests.jobs.job_helpers import DEADLINE_S, dead_here, eventually

LIFELINE = """
import os, sys, time
from astrotui.jobs import processes
if sys.argv[2] == "thread":
    processes._F_SETSIG = 9999  # as on a system that does not know it
processes.tie_to_supervisor(int(sys.argv[1]))
if os.fork() == 0:
    time.sleep(600)
print("ready", flush=True)
time.sleep(600)
"""


class TestOwner:
    def test_this_process_lives_and_an_ended_one_does_not(self) -> None:
        here = owner.this_process()
        assert not owner.is_dead(here) and owner.is_alive(here) and owner.same_machine(here)
        assert owner.is_dead(dead_here())
        assert owner.this_process().token != here.token

    def test_a_process_id_that_was_used_again_is_no_life(self) -> None:
        assert owner.is_dead(replace(owner.this_process(), start="1"))

    def test_a_zombie_is_dead(self) -> None:
        process = subprocess.Popen([sys.executable, "-c", ""])
        eventually(lambda: owner.process_start(process.pid) is None)
        assert (Path("/proc") / str(process.pid)).exists() or not Path("/proc/self").exists()
        process.wait()

    def test_what_cannot_be_seen_counts_as_living(self) -> None:
        gone = dead_here()
        machine, boot, namespace = gone.boot.split("/")
        assert not owner.is_dead(replace(gone, host="elsewhere"))
        assert not owner.is_dead(replace(gone, boot=f"other/{boot}/{namespace}"))
        assert not owner.is_dead(replace(gone, boot=f"{machine}/{boot}/pid:[1]"))
        assert not owner.same_machine(replace(gone, boot=f"{machine}/{boot}/pid:[1]"))

    def test_a_machine_that_booted_again_has_no_old_processes(self) -> None:
        here = owner.this_process()
        machine, _, namespace = here.boot.split("/")
        assert owner.is_dead(replace(here, boot=f"{machine}/another/{namespace}"))

    def test_it_survives_a_line_of_text(self) -> None:
        here = owner.this_process()
        assert owner.Owner.from_json(here.to_json()) == here
        for broken in (
            "",
            "{}",
            "[]",
            '{"token": 1}',
            '{"token":"a","host":"","boot":"","pid":"x","start":""}',
        ):
            with pytest.raises(JobError, match="not the identity of a worker"):
                owner.Owner.from_json(broken)

    def test_without_proc_ps_tells(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(owner, "_PROC", tmp_path)
        assert owner.process_start(os.getpid()) is not None
        assert owner.process_start(dead_here().pid) is None


@pytest.mark.parametrize("how", ["kernel", "thread"])
def test_a_process_group_dies_with_its_lifeline(how: str) -> None:
    held, lifeline = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", LIFELINE, str(held), how],
        stdout=subprocess.PIPE,
        pass_fds=[held],
        process_group=0,
        text=True,
    ) as process:
        os.close(held)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        assert process.poll() is None
        os.close(lifeline)
        assert process.wait(DEADLINE_S) == -9
        assert process.stdout.read() == ""  # closed at last: the fork is gone, too


def test_a_lifeline_that_is_cut_already_ends_the_group_at_once() -> None:
    held, lifeline = os.pipe()
    os.close(lifeline)
    said = subprocess.run(
        [sys.executable, "-c", LIFELINE, str(held), "kernel"],
        capture_output=True,
        pass_fds=[held],
        process_group=0,
        timeout=DEADLINE_S,
    )
    os.close(held)
    assert said.returncode == -9 and said.stdout == b""


class TestLogs:
    @pytest.mark.parametrize(
        ("said", "kept"),
        [
            ("SITELAT = 51.4778 GAIN=80", "SITELAT = <private> GAIN=80"),
            ("{'SITELAT': 51.4, 'GAIN': 80}", "{'SITELAT': <private>, 'GAIN': 80}"),
            ("SITELONG='+00 12 13.4' / site", "SITELONG=<private> / site"),
            ("SITELAT '51 3 0.000'", "SITELAT <private>"),
            ("lat: 51.4778, lon: -0.0015 exposure=10", "lat: <private>, lon: <private> exposure=10"),
            ("latitude=51 28 38.2N seeing", "latitude=<private> seeing"),
            ("OBSGEO-B= 51.1", "OBSGEO-B= <private>"),
            ('("LAT-OBS", 51.2, "site")', '("LAT-OBS", <private>, "site")'),
            ("serial number: 153dd4e2", "serial number: <private>"),
            ('CAMSERIAL: "X1" ok', "CAMSERIAL: <private> ok"),
            ("TELESCOP S50_153dd4e2 ok", "TELESCOP S50_<private> ok"),
        ],
    )
    def test_private_values_are_hidden(self, said: str, kept: str) -> None:
        assert logs.redact(said) == kept

    @pytest.mark.parametrize(
        "said", ["snr=12 S/N=30", "session: 12", "plate=3 flat=abc", "/data/lat=3/x.fits", "at latitude 51"]
    )
    def test_the_rest_stays(self, said: str) -> None:
        assert logs.redact(said) == said

    def test_a_log_is_harmless_and_keeps_the_form_of_a_traceback(self, tmp_path: Path) -> None:
        log, handler = logs.open_log(tmp_path / "logs" / "job.log")
        log.info("Traceback\n  File x\n    raise \x1b[2J%s", "ValueError")
        log.info("a" * 10_000)
        handler.close()
        lines = logs.read_log(tmp_path / "logs" / "job.log")
        assert lines[0].endswith(" Traceback") and lines[1:3] == ["  File x", "    raise [2JValueError"]
        assert len(lines[3]) < logs.MAX_LINE + 100
        assert logs.read_log(tmp_path / "logs" / "job.log", 1) == lines[-1:]
        assert logs.read_log(tmp_path / "none.log") == []

    def test_a_log_is_capped(self, tmp_path: Path) -> None:
        path = tmp_path / "job.log"
        log, handler = logs.open_log(path)
        for number in range(3 * logs.MAX_BYTES // 1000):
            log.info("%d %s", number, "x" * 1000)
        handler.close()
        files = list(tmp_path.iterdir())
        assert len(files) == 2 and sum(f.stat().st_size for f in files) <= 2 * logs.MAX_BYTES
        assert logs.read_log(path)[-1].split()[2] == str(3 * logs.MAX_BYTES // 1000 - 1)

    def test_the_newest_logs_are_kept(self) -> None:
        folder = places().logs
        folder.mkdir(parents=True)
        for number in range(5):
            for name in (f"job-x-{number}.log", f"job-x-{number}.log.1"):
                (folder / name).touch()
                os.utime(folder / name, (number, number))
        (folder / "worker-x.log").touch()
        logs.prune(2)
        kept = {"job-x-3.log", "job-x-3.log.1", "job-x-4.log", "job-x-4.log.1", "worker-x.log"}
        assert {path.name for path in folder.iterdir()} == kept

    def test_logs_of_two_catalogues_have_names_of_their_own(self, tmp_path: Path) -> None:
        assert logs.job_log(tmp_path / "a", 1) != logs.job_log(tmp_path / "b", 1)


class TestEstimates:
    def test_enough_disk_and_too_little(self, tmp_path: Path) -> None:
        estimates.check_disk(tmp_path, 1000)
        estimates.check_disk(tmp_path / "not" / "yet", 1000)
        with pytest.raises(JobError, match=r"stacks: the result needs 1000000\.0 TB and .* are missing"):
            estimates.check_disk(tmp_path / "stacks", 10**18)

    def test_enough_memory_and_too_little(self) -> None:
        estimates.check_memory(1000)
        with pytest.raises(JobError, match=r"needs 1000000\.0 TB of memory and .* are missing \(--memory"):
            estimates.check_memory(10**18)

    def test_the_limits_of_control_groups_count(self, tmp_path: Path) -> None:
        proc, groups = tmp_path / "proc", tmp_path / "cgroup"
        own = groups / "user.slice" / "app.scope"
        own.mkdir(parents=True)
        (proc / "self").mkdir(parents=True)
        (proc / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
        (proc / "self" / "cgroup").write_text("0::/user.slice/app.scope\n")
        assert estimates.free_memory(proc, groups) == 4_096_000_000
        for folder, limit in ((own, "max"), (groups / "user.slice", "1000000000")):
            (folder / "memory.max").write_text(f"{limit}\n")
            (folder / "memory.current").write_text("700000000\n")
            (folder / "memory.stat").write_text("anon 1\ninactive_file 200000000\nactive_file 5\n")
        assert estimates.free_memory(proc, groups) == 500_000_000

    def test_the_older_control_groups_count_as_well(self, tmp_path: Path) -> None:
        proc, group = tmp_path / "proc", tmp_path / "cgroup" / "memory" / "docker"
        group.mkdir(parents=True)
        (proc / "self").mkdir(parents=True)
        (proc / "meminfo").write_text("MemAvailable: 4000000 kB\n")
        (proc / "self" / "cgroup").write_text("9:cpu,cpuacct:/docker\n8:memory:/docker\n")
        (group / "memory.limit_in_bytes").write_text("300000000")
        (group / "memory.usage_in_bytes").write_text("100000000")
        (group / "memory.stat").write_text("total_inactive_file 1000\n")
        assert estimates.free_memory(proc, tmp_path / "cgroup") == 200_001_000

    @pytest.mark.parametrize(
        ("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 KB"), (123_456_789, "123 MB")]
    )
    def test_sizes_are_said_plainly(self, count: int, said: str) -> None:
        assert size(count) == said


class TestExecutors:
    def test_threads_of_this_process(self) -> None:
        with executor(2) as pool:
            assert sorted(pool.map(abs, [-3, 2, -1])) == [1, 2, 3]
        with pytest.raises(RuntimeError):
            pool.submit(abs, 1)

    def test_a_cluster_needs_its_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(JobError, match=r"pip install 'astrotui\[cluster\]'"), executor(1, "tcp://x:8786"):
            pass

    def test_a_cluster_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def client(*_: object, **__: object) -> None:
            raise OSError("Timed out trying to connect")

        monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=client))
        with pytest.raises(JobError, match="tcp://x:8786: no Dask scheduler"), executor(1, "tcp://x:8786"):
            pass

    def test_a_real_cluster(self) -> None:
        distributed = pytest.importorskip("distributed", reason="the cluster extra is not installed")
        with (
            distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
            executor(1, cluster.scheduler_address) as pool,
        ):
            assert sorted(pool.map(abs, [-3, 2, -1])) == [1, 2, 3]


class TestHandlers:
    def test_what_this_version_cannot_do_is_said(self) -> None:
        with pytest.raises(JobError, match=r"'watch' jobs; it knows index, measure, render, stack"):
            find_handler("watch", {key: HANDLERS[key] for key in ("index", "measure", "stack", "render")})

    def test_a_name_is_looked_up_when_it_is_needed(self) -> None:
        assert find_handler("x", {"x": "os.path:join"}) is os.path.join


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class TestEnvironment:
    def remedies(self, root: Path, **environment: str) -> dict[str, str | None]:
        return {fact.text: fact.remedy for fact in facts(root, environment, "astro")}

    def test_without_systemd_all_is_well(self, tmp_path: Path) -> None:
        assert facts(tmp_path, {}, "astro") == [
            Fact("background work outlives the terminal (no systemd that could end it)")
        ]

    def test_systemd_that_kills_is_named_with_its_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "run/systemd/system").mkdir(parents=True)
        write(tmp_path / "etc/systemd/logind.conf", "[Login]\n#KillUserProcesses=no\nKillUserProcesses=yes\n")
        (fact,) = facts(tmp_path, {}, "astro")
        assert "KillUserProcesses is on" in fact.text and "loginctl enable-linger" in (fact.remedy or "")
        write(tmp_path / "var/lib/systemd/linger/astro", "")
        (fact,) = facts(tmp_path, {}, "astro")
        assert "systemd-run --user" in (fact.remedy or "")

    def test_the_configuration_is_read_in_its_order_of_precedence(self, tmp_path: Path) -> None:
        assert kills_user_processes(tmp_path, "astro") is None
        write(tmp_path / "usr/lib/systemd/logind.conf", "[Login]\n#KillUserProcesses=no\n")
        assert kills_user_processes(tmp_path, "astro") is False  # the default it was built with
        write(tmp_path / "usr/lib/systemd/logind.conf.d/10-a.conf", "[Login]\nKillUserProcesses=yes\n")
        assert kills_user_processes(tmp_path, "astro") is True
        write(tmp_path / "etc/systemd/logind.conf", "[Login]\nKillUserProcesses=no\n")
        assert kills_user_processes(tmp_path, "astro") is True  # drop-ins come after the main file
        write(tmp_path / "etc/systemd/logind.conf.d/10-a.conf", "# nothing here\n")
        assert kills_user_processes(tmp_path, "astro") is False  # and this one replaces its namesake
        write(tmp_path / "run/systemd/logind.conf.d/20-b.conf", "[Login]\nKillUserProcesses = true\n")
        assert kills_user_processes(tmp_path, "astro") is True
        assert kills_user_processes(tmp_path, "root") is False
        write(tmp_path / "etc/systemd/logind.conf.d/30-c.conf", "[Login]\nKillOnlyUsers=guest\n")
        assert kills_user_processes(tmp_path, "astro") is False
        assert kills_user_processes(tmp_path, "guest") is True

    def test_terminals_and_containers_are_told(self, tmp_path: Path) -> None:
        assert any("tmux" in text for text in self.remedies(tmp_path, TMUX="/tmp/x", SSH_CONNECTION="1"))
        assert any("screen" in text for text in self.remedies(tmp_path, STY="1.x"))
        assert any("SSH" in text for text in self.remedies(tmp_path, SSH_CONNECTION="1 2 3 4"))
        assert container(tmp_path, {}) is None
        assert container(tmp_path, {"container": "lxc"}) == "lxc"
        write(tmp_path / "run/systemd/container", "systemd-nspawn\n")
        assert container(tmp_path, {}) == "systemd-nspawn"
        write(tmp_path / "run/.containerenv", "")
        assert container(tmp_path, {}) == "podman"
        write(tmp_path / ".dockerenv", "")
        told = self.remedies(tmp_path)
        assert any("container (docker)" in text and remedy for text, remedy in told.items())


def test_kernels_are_kept_apart_when_any_of_their_code_changed(tmp_path: Path) -> None:
    assert places().kernels.name == kernels_digest()
    (tmp_path / "clip_kernels.py").write_text("a = 1\n")
    before = kernels_digest(tmp_path)
    kernels_digest.cache_clear()
    assert kernels_digest(tmp_path) == before
    (tmp_path / "clip_kernels.py").write_text("a = 2\n")
    kernels_digest.cache_clear()
    assert kernels_digest(tmp_path) != before
