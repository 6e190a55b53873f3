"""Where a configuration comes from: a file, the environment, and places of secrets."""

from pathlib import Path

import pytest

from gateway.settings import Settings, SettingsError, load, load_what_is_right

FILE = """
[server]
address = "127.0.0.1:1234"

[routes.default]
backends = ["tei", "cohere"]

[backends.tei]
dialect = "tei"
url = "http://localhost:8081"
timeout_s = 2.0

[backends.cohere]
dialect = "cohere-v2"
model = "rerank-v3.5"
api_key_env = "COHERE_API_KEY"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(FILE, "utf-8")
    return path


def problems(path: Path | None = None, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load(path, environ=environ)
    return list(raised.value.problems)


def with_key(path: Path, key: str) -> Settings:
    return load(path, environ={"COHERE_API_KEY": key})


# The file


def test_a_file_is_read(file: Path) -> None:
    settings = load(file, environ={})
    assert settings.server.address == "127.0.0.1:1234"
    assert settings.backends["tei"].timeout_s == 2.0


def test_the_environment_may_name_the_file(file: Path) -> None:
    settings = load(environ={"RERANK_GATEWAY_CONFIG": str(file)})
    assert settings.routes["default"].backends == ("tei", "cohere")


def test_a_file_that_is_named_outright_goes_first(file: Path) -> None:
    settings = load(file, environ={"RERANK_GATEWAY_CONFIG": "/nowhere.toml"})
    assert settings.routes["default"].backends == ("tei", "cohere")


def test_nothing_at_all_is_a_configuration() -> None:
    assert load(environ={"PATH": "/bin"}).routes["default"].backends == ("local",)


def test_without_an_environment_of_its_own_it_takes_that_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RERANK_GATEWAY__SERVER__ADDRESS", "127.0.0.1:4321")
    assert load().server.address == "127.0.0.1:4321"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[server", "is not TOML"),
        (b'[server]\naddress = "\xff"', "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(content)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}: {words}")


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    assert problems(path) == [f"{path}: No such file or directory"]


# Overrides


def test_each_key_can_be_overridden_by_a_variable(file: Path) -> None:
    settings = load(
        file,
        environ={
            "RERANK_GATEWAY__BACKENDS__TEI__URL": "http://elsewhere:1",
            "RERANK_GATEWAY__BACKENDS__TEI__TIMEOUT_S": "0.5",
            "RERANK_GATEWAY__BACKENDS__TEI__LISTWISE": "true",
            "RERANK_GATEWAY__BACKENDS__TEI__MAX_DOCUMENTS": "7",
            "RERANK_GATEWAY__ROUTES__DEFAULT__BACKENDS": '["tei"]',
        },
    )
    tei = settings.backends["tei"]
    assert (tei.url, tei.timeout_s) == ("http://elsewhere:1", 0.5)
    assert (tei.listwise, tei.max_documents) == (True, 7)
    assert settings.routes["default"].backends == ("tei",)
    assert settings.server.address == "127.0.0.1:1234"


def test_a_whole_backend_can_come_from_variables() -> None:
    settings = load(
        environ={
            "RERANK_GATEWAY__BACKENDS__LLAMA__DIALECT": "llamacpp",
            "RERANK_GATEWAY__BACKENDS__LLAMA__URL": "http://h",
            "RERANK_GATEWAY__BACKENDS__LLAMA__SCALE": "logit",
        }
    )
    assert settings.backends["llama"].dialect == "llamacpp"


def test_the_address_of_the_command_line_goes_before_all_others(file: Path) -> None:
    environ = {"RERANK_GATEWAY__SERVER__ADDRESS": "127.0.0.1:2"}
    assert load(file, environ=environ).server.address == "127.0.0.1:2"
    settings = load(file, address="127.0.0.1:3", environ=environ)
    assert settings.server.address == "127.0.0.1:3"


@pytest.mark.parametrize("scheme", ["grpc", "grpcs"])
def test_a_server_of_grpc_can_be_the_whole_deployment(scheme: str) -> None:
    url = f"{scheme}://localhost:8082"
    settings = load(environ={"RERANK_GATEWAY_BACKEND": f"tei-grpc+{url}"})
    backend = settings.backends["tei_grpc"]
    assert (backend.dialect, backend.url) == ("tei-grpc", url)
    assert settings.routes["default"].backends == ("tei_grpc",)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("RERANK_GATEWAY__SERVER__PORT", "1", "server.port: there is no such setting"),
        ("RERANK_GATEWAY__COLOUR", "red", "colour: there is no such setting"),
        ("RERANK_GATEWAY__ROUTES__R__TOP_K", "few", "routes.r.top_k: "),
        (
            "RERANK_GATEWAY__ROUTES__R__BACKENDS",
            "[tei",
            "RERANK_GATEWAY__ROUTES__R__BACKENDS: is not a TOML list",
        ),
        ("RERANK_GATEWAY__SERVER", "1", "server: "),
    ],
)
def test_a_variable_that_is_wrong_is_a_problem(
    name: str, value: str, problem: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load(environ={name: value})
    (said,) = raised.value.problems
    assert said.startswith(problem)


def test_a_variable_for_a_section_and_one_for_a_part_of_it_contradict_each_other() -> (
    None
):
    said = problems(
        RERANK_GATEWAY__SERVER="1", RERANK_GATEWAY__SERVER__ADDRESS="127.0.0.1:2"
    )
    assert said == ["RERANK_GATEWAY__SERVER__ADDRESS: server is set as a whole already"]


# One variable


@pytest.mark.parametrize(
    ("said", "name", "dialect", "url"),
    [
        ("tei+http://localhost:8081", "tei", "tei", "http://localhost:8081"),
        (
            "cohere-v1+https://proxy.test/cohere",
            "cohere_v1",
            "cohere-v1",
            "https://proxy.test/cohere",
        ),
    ],
)
def test_the_simplest_deployment_is_one_variable(
    said: str, name: str, dialect: str, url: str
) -> None:
    settings = load(environ={"RERANK_GATEWAY_BACKEND": said})
    assert settings.routes["default"].backends == (name,)
    assert settings.backends[name].dialect == dialect
    assert settings.backends[name].url == url


def test_what_one_variable_cannot_say_others_add() -> None:
    settings = load(
        environ={
            "RERANK_GATEWAY_BACKEND": "llamacpp+http://localhost:8080",
            "RERANK_GATEWAY__BACKENDS__LLAMACPP__SCALE": "probability",
        }
    )
    assert settings.backends["llamacpp"].scale == "probability"


def test_one_variable_goes_before_the_file(file: Path) -> None:
    settings = load(file, environ={"RERANK_GATEWAY_BACKEND": "tei+http://other:1"})
    assert settings.routes["default"].backends == ("tei",)
    assert settings.backends["tei"].url == "http://other:1"


def test_one_variable_without_a_dialect_is_a_problem() -> None:
    assert problems(RERANK_GATEWAY_BACKEND="http://localhost:8081") == [
        "RERANK_GATEWAY_BACKEND: must be DIALECT+URL, such as tei+http://localhost:8081"
    ]


def test_one_variable_with_an_unknown_dialect_is_a_problem() -> None:
    (said,) = problems(RERANK_GATEWAY_BACKEND="teii+http://localhost:8081")
    assert said.startswith("backends.teii.dialect: must be one of")


# Keys


def test_a_key_is_read_from_the_variable_that_is_named(file: Path) -> None:
    key = with_key(file, " secret-1\n").backends["cohere"].api_key
    assert key is not None
    assert key.get_secret_value() == "secret-1"


def test_a_key_is_read_from_the_file_that_is_named(tmp_path: Path, file: Path) -> None:
    place = tmp_path / "key"
    place.write_text("secret-1\n")
    settings = load(
        file, environ={"RERANK_GATEWAY__BACKENDS__TEI__API_KEY_FILE": str(place)}
    )
    key = settings.backends["tei"].api_key
    assert key is not None
    assert key.get_secret_value() == "secret-1"


def test_a_backend_without_a_key_has_none_and_no_problem(file: Path) -> None:
    tei = with_key(file, "secret-1").backends["tei"]
    assert tei.api_key is None
    assert tei.problem == ""


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({}, "environment variable COHERE_API_KEY is not set"),
        ({"COHERE_API_KEY": "  "}, "environment variable COHERE_API_KEY is not set"),
        (
            {"COHERE_API_KEY": "secret\n-1"},
            "its key has characters that no header may hold",
        ),
        (
            {"COHERE_API_KEY": "sécret-1"},
            "its key has characters that no header may hold",
        ),
    ],
)
def test_a_key_that_cannot_be_used_is_a_problem_of_its_backend_alone(
    file: Path, environ: dict[str, str], problem: str
) -> None:
    settings = load(file, environ=environ)
    assert settings.backends["cohere"].problem == problem
    assert settings.backends["cohere"].api_key is None
    assert settings.backends["tei"].problem == ""


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_key_file_that_cannot_be_used_is_a_problem_of_its_backend_alone(
    tmp_path: Path, file: Path, content: bytes | None
) -> None:
    place = tmp_path / "key"
    if content is not None:
        place.write_bytes(content)
    name = "RERANK_GATEWAY__BACKENDS__TEI__API_KEY_FILE"
    tei = load(file, environ={name: str(place)}).backends["tei"]
    assert tei.api_key is None
    assert str(place) in tei.problem


def test_a_key_is_in_nothing_that_is_printed(file: Path) -> None:
    settings = with_key(file, "secret-1")
    for written in (
        repr(settings),
        str(settings),
        repr(settings.backends["cohere"]),
        settings.model_dump_json(),
        repr(settings.model_dump()),
    ):
        assert "secret-1" not in written


def test_a_key_that_is_wrong_is_not_quoted(file: Path) -> None:
    assert "secret" not in with_key(file, "secret\n1").backends["cohere"].problem


def test_http_listens_only_where_it_is_told() -> None:
    assert load(environ={}).http.address == ""
    told = load(environ={"RERANK_GATEWAY__HTTP__ADDRESS": "127.0.0.1:1"})
    assert told.http.address == "127.0.0.1:1"
    assert load(http_address="[::1]:8080", environ={}).http.address == "[::1]:8080"


def test_every_problem_of_http_is_named() -> None:
    assert problems(
        RERANK_GATEWAY__HTTP__ADDRESS="8080",
        RERANK_GATEWAY__HTTP__ON_FALLBACK="invent",
        RERANK_GATEWAY__HTTP__BODY_TIMEOUT_S="0",
    ) == [
        "http.on_fallback: input should be 'keep_order' or 'error'",
        "http.body_timeout_s: input should be greater than 0",
        "http.address: must be HOST:PORT, such as 127.0.0.1:8080",
    ]


# What commands show to a gateway that runs


def _shown(settings: Settings) -> tuple[str | None, str]:
    token = settings.client.token
    return token.get_secret_value() if token else None, settings.client.problem


def test_the_key_to_show_is_in_a_variable_of_that_name() -> None:
    assert _shown(load(environ={})) == (None, "")
    environ = {"RERANK_GATEWAY_KEY": " rgw_a\n"}
    assert _shown(load(environ=environ)) == ("rgw_a", "")
    named = {"RERANK_GATEWAY__CLIENT__TOKEN_ENV": "MINE"}
    problem = "environment variable MINE is not set"
    assert _shown(load(environ=environ | named)) == (None, problem)
    assert _shown(load(environ=named | {"MINE": "rgw_b"})) == ("rgw_b", "")


def test_or_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    environ = {
        "RERANK_GATEWAY__CLIENT__TOKEN_FILE": str(secret),
        "RERANK_GATEWAY_KEY": "rgw_other",
    }
    assert _shown(load(environ=environ)) == (None, f"cannot read {secret}")
    secret.write_text("\n")
    assert _shown(load(environ=environ)) == (None, f"{secret} is empty")
    secret.write_text("rgw_c\n")
    assert _shown(load(environ=environ)) == ("rgw_c", "")
    assert "rgw_c" not in repr(load(environ=environ))


def test_a_key_that_no_header_can_hold_is_none() -> None:
    token, problem = _shown(load(environ={"RERANK_GATEWAY_KEY": "a\nb"}))
    assert token is None
    assert "header" in problem
    assert "a\nb" not in problem


def test_what_is_shown_cannot_stand_in_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('client.token = "rgw_d"\n')
    assert problems(file) == ["client.token: there is no such setting"]


@pytest.mark.parametrize(
    "wrong", ["nothing = 1", "[backends.x]", "server.max_calls = 0", "tls.wrong = 1"]
)
def test_of_a_wrong_configuration_the_rest_is_read(wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'{wrong}\nserver.address = "127.0.0.1:7"\nclient.ca = "a.pem"\n'
        if not wrong.startswith("[")
        else f'server.address = "127.0.0.1:7"\nclient.ca = "a.pem"\n{wrong}\n'
    )
    environ = {"RERANK_GATEWAY_KEY": "rgw_e", "RERANK_GATEWAY__TLS__KEY": "b.pem"}
    assert problems(file, **environ)
    found = load_what_is_right(file, environ=environ)
    assert found.server.address == "127.0.0.1:7"
    assert (found.client.ca, found.tls.key) == ("a.pem", "b.pem")
    assert _shown(found) == ("rgw_e", "")


def test_of_what_cannot_be_read_the_environment_is_left(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    environ = {"RERANK_GATEWAY__SERVER__ADDRESS": "127.0.0.1:8"}
    assert load_what_is_right(file, environ=environ).server.address == "127.0.0.1:8"
    file.write_text("[")
    assert load_what_is_right(file, environ=environ).server.address == "127.0.0.1:8"
