"""Download a cross-encoder from the Hugging Face hub, once, at a pinned commit."""

import logging
from contextlib import suppress
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import (
    cached_assets_path,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
)
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    XetDownloadError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars

from gateway.backends.local.inference import UnusableModel
from gateway.backends.local.model_directory import (
    CONFIG,
    MODEL_PLACES,
    TOKENIZER,
    TOKENIZER_CONFIG,
)

_log = logging.getLogger(__name__)

# Weights beyond 2 GB are in a file of their own, which exporters name in these ways.
_WEIGHTS = ("_data", ".data")
_LIBRARY = "rerank-gateway"
_COMPLETE = "complete"
_TIMEOUT_S = 10.0
_SHORT = 8
_MAX_WORDS = 200

# Of the hub's client (its errors are OSErrors or HTTPErrors), and of its downloader.
_FAILURES = (HTTPError, OSError, RuntimeError, ValueError, XetDownloadError)


def hub_name(model: str, *, revision: str) -> str:
    """Give a pinned model the name that answers and messages have for it."""
    return f"{model}@{revision[:_SHORT]}"


def fetch(model: str, *, revision: str) -> Path:
    """Give a directory with the files of a model, downloading them if need be.

    Only data is fetched: the graph, its weights, the tokenizer and two JSON files. They
    are kept in a folder of their own under `HF_HOME`, not in the hub's cache of links:
    there, onnxruntime refuses weights that are not in the folder of their graph. What
    is complete needs no network. It blocks: for seconds if the hub is out of reach, for
    as long as it takes if it is not.

    Args:
        model: Such as `BAAI/bge-reranker-base`.
        revision: The 40 hex digits of a commit.

    Raises:
        UnusableModel: It cannot be had; the message says what to do.

    """
    name = hub_name(model, revision=revision)
    disable_progress_bars()
    try:
        directory = cached_assets_path(_LIBRARY, namespace=model, subfolder=revision)
        complete = directory / _COMPLETE
        if not complete.exists():
            _log.info("downloading %s to %s", name, directory)
            _download(model, revision, directory)
            complete.touch()
    except _FAILURES as error:
        message = f"{name} {_problem(error)}, or configure a directory as the model"
        raise UnusableModel(message) from error
    return directory


def _download(model: str, revision: str, directory: Path) -> None:
    def file(name: str) -> bool:
        """Tell whether the model has such a file, which is here then."""
        try:
            hf_hub_download(model, name, revision=revision, local_dir=directory)
        except RemoteEntryNotFoundError:
            return False
        return True

    # Once and briefly: the download itself would try an absent hub for minutes.
    with suppress(RemoteEntryNotFoundError):
        url = hf_hub_url(model, TOKENIZER, revision=revision)
        get_hf_file_metadata(url, timeout=_TIMEOUT_S)
    if not file(TOKENIZER):
        raise _lacks(model, revision, TOKENIZER)
    graph = next((place for place in MODEL_PLACES if file(place)), None)
    if graph is None:
        raise _lacks(model, revision, MODEL_PLACES[-1])
    for each in (*(graph + end for end in _WEIGHTS), CONFIG, TOKENIZER_CONFIG):
        file(each)


def _lacks(model: str, revision: str, file: str) -> UnusableModel:
    message = (
        f"{hub_name(model, revision=revision)} has no {file}: export it with"
        f" `optimum-cli export onnx --model {model} DIRECTORY`, and configure that"
        " directory as the model"
    )
    return UnusableModel(message)


def _problem(error: Exception) -> str:
    """Say what happened and what to do."""
    if isinstance(error, GatedRepoError):
        return "may not be downloaded without consent: set HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError):
        return "is not on the hub, or is private: set HF_TOKEN"
    if isinstance(error, RevisionNotFoundError):
        return "is no revision that the hub has: configure another"
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__:
        # It speaks of a cache that is not used here.
        return _unavailable(error.__cause__)
    return _unavailable(error)


def _unavailable(error: BaseException) -> str:
    words = str(error).partition("\n")[0][:_MAX_WORDS]
    return (
        f"cannot be downloaded ({type(error).__name__}: {words}): let this machine"
        " reach the hub"
    )
