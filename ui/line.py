"""Who computes before whom. All that anyone learns of the others is how many are ahead, and for about how long."""

import threading

from ui.session import Session


class Line:
    """The sessions that compute or wait to, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Session] = []

    def join(self, session: Session) -> None:
        with self._lock:
            if not any(other is session for other in self._waiting):
                self._waiting.append(session)

    def leave(self, session: Session) -> None:
        with self._lock:
            self._waiting = [other for other in self._waiting if other is not session]

    def before(self, session: Session) -> list[Session]:
        """The sessions ahead of this one."""
        with self._lock:
            at = next((i for i, other in enumerate(self._waiting) if other is session), 0)
            return self._waiting[:at]

    def ahead(self, session: Session) -> int:
        """How many there are."""
        return len(self.before(session))

    @property
    def empty(self) -> bool:
        return not self._waiting
