"""Where collections are: in this process, or in a cluster of Qdrant or Weaviate."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from gateway.settings.section import Count, Seconds, Section

EMBEDDED = "embedded"
QDRANT = "qdrant"
WEAVIATE = "weaviate"
"""The engines."""


class RetrievalSettings(Section):
    """Where documents are stored and found."""

    engine: Literal["embedded", "qdrant", "weaviate", "none"] = "embedded"
    """`embedded`: LanceDB in this process; `qdrant`, `weaviate`: a cluster of that; `none`:
    Search is not served."""
    timeout_s: Seconds = 5.0
    """How long finding candidates may take."""
    write_timeout_s: Seconds = 60.0
    """How long it may take to store or to delete a batch."""

    path: str = ""
    """Embedded only: its folder; unset: below the user's data folder."""
    vector_index_from: Count = 5000
    """Embedded only: from how many documents on vectors get an index; below, all are
    compared."""
    tidy_every_s: Seconds = 1.0
    """Embedded only: how often it is looked whether indexes are behind."""
    keep_versions_s: Seconds = 600.0
    """Embedded only: how long a superseded version is kept for searches that read it."""

    url: str = ""
    """Clusters only: http://HOST:PORT of one node, or of a name that leads to all of them;
    https:// over TLS. The port of Qdrant is that of gRPC, 6334 where none is named; that of
    Weaviate is the one of REST, such as 8080."""
    urls: tuple[str, ...] = ()
    """Weaviate only, instead of `url`: all of its nodes; where one fails another is asked."""
    grpc_urls: tuple[str, ...] = ()
    """Weaviate only: http://HOST:PORT of gRPC of each node, in the same order; https:// over
    TLS. Unset: as the urls, at port 50051."""
    api_key_env: str = ""
    """Clusters only: name of the environment variable that holds the key."""
    api_key_file: str = ""
    """Clusters only: path of a file that holds the key."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = ""
    """Clusters only: begins the names of all collections there, where others have theirs; of
    Weaviate with a capital letter, and without hyphens."""
    shard_number: Count | None = None
    """Clusters only: parts of a new collection; unset: as the cluster has it."""
    replication_factor: Count | None = None
    """Clusters only: copies of each part of a new collection; unset: likewise."""
    write_consistency_factor: Count | None = None
    """Qdrant only: copies that must have a write before it is answered; unset: likewise."""
    read_consistency: Literal["majority", "quorum", "all"] | None = None
    """Qdrant only: copies that must agree on what is read; unset: one is asked, and a
    quorum for a search with `min_version`."""
    mean_terms: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 100.0
    """Qdrant only: words that a document of a new collection has on average, without those
    that say nothing; BM25 compares lengths with it."""

    api_key: SecretStr | None = Field(default=None, exclude=True)
    """The key itself: read from its place, never from the configuration."""
    problem: str = ""
    """Why it cannot be asked although it is configured correctly."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The urls of a cluster, whichever way they are given."""
        return self.urls or ((self.url,) if self.url else ())
