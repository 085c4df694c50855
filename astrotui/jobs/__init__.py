"""Queue, launch, worker and executors of background work."""
