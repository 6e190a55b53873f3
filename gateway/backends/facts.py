"""What is known about one backend: as configured, or as it tells about itself."""

LONGEST_NAME = 256
"""Of a model, in characters: a name goes into answers, errors and traces."""


class Facts:
    """The size of a call and the name of the model, kept up to date by whoever learns.

    What the configuration says stands; only the rest is learned.

    Args:
        max_documents: Documents in one call, until something else is learned; 0: as
            many as there are.
        model: The model, until the backend names one; empty if unknown.
        fixed: The configuration gave `max_documents`.

    """

    def __init__(self, *, max_documents: int, model: str, fixed: bool) -> None:
        self.max_documents = max_documents
        self.model = model
        self.revision = ""
        """Of the model, where the backend tells it: a commit, a hash."""
        self._fixed = fixed

    def learn_max_documents(self, limit: int) -> None:
        """Note how many documents the backend takes in one call."""
        if not self._fixed and limit >= 1:
            self.max_documents = limit

    def learn_model(self, model: str) -> None:
        """Note what the backend calls the model that it serves."""
        if model:
            self.model = model[:LONGEST_NAME]

    def learn_revision(self, revision: str) -> None:
        """Note which state of the model the backend serves."""
        self.revision = revision[:LONGEST_NAME]
