"""What operators read: calls, start, stop, and what goes wrong with backends.

Nothing that a caller sent and nothing that a backend answered is ever part of a line.
"""

from gateway.logs.telling import EventLog
from gateway.logs.writing import lines_to_stderr

__all__ = ["EventLog", "lines_to_stderr"]
