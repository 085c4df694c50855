"""astrotui: a library, a judge and a stacker for night-sky frames, in a terminal."""

__version__ = "0.1.0"
