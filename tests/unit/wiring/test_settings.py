"""Settings: which place wins, and what a person is told."""

from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.wiring.settings import load
from engine.worker.settings import WorkerSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "worker.yaml"


def test_flags_go_before_variables_before_the_file_before_defaults(file: Path) -> None:
    file.write_text("interval: 3\nwindow: 30\nname: from-file\n")
    settings = load(
        WorkerSettings,
        file=file,
        environ={"ENGINE_INTERVAL": "4", "ENGINE_WINDOW": "40", "HOME": "/"},
        flags={"interval": "5", "name": None},
    )
    assert (settings.interval, settings.window, settings.name) == (5.0, 40, "from-file")
    assert settings.snapshot_every == WorkerSettings().snapshot_every


@pytest.mark.parametrize(
    ("suffix", "text"),
    [(".yaml", "interval: 3"), (".toml", "interval = 3"), (".json", '{"interval": 3}')],
)
def test_a_file_may_be_yaml_toml_or_json(tmp_path: Path, suffix: str, text: str) -> None:
    file = tmp_path / f"worker{suffix}"
    file.write_text(text)
    assert load(WorkerSettings, file=file, environ={}).interval == 3.0


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"ENGINE_INTERVAL": "fast"},
            "ENGINE_INTERVAL: seconds above 0 such as 2 (0.02 to 3600), found 'fast'",
        ),
        (
            {"ENGINE_INTERVAL": "0"},
            "ENGINE_INTERVAL: seconds above 0 such as 2 (0.02 to 3600), found '0'",
        ),
        (
            {"ENGINE_INTERVAL": "nan"},
            "ENGINE_INTERVAL: seconds above 0 such as 2 (0.02 to 3600), found 'nan'",
        ),
        (
            {"ENGINE_NAME": "a b"},
            "ENGINE_NAME: a name of 1 to 64 of A-Z a-z 0-9 _ - such as w1, found 'a b'",
        ),
        (
            {"ENGINE_LOG_LEVEL": "loud"},
            "ENGINE_LOG_LEVEL: one of debug, info, warning, error, found 'loud'",
        ),
        (
            {"ENGINE_INTREVAL": "2"},
            "ENGINE_INTREVAL: no setting is called that; did you mean ENGINE_INTERVAL?",
        ),
    ],
)
def test_a_bad_variable_is_one_line_that_says_what_was_wanted(
    environ: dict[str, str], line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(WorkerSettings, environ=environ)
    assert str(caught.value) == line


def test_a_variable_of_another_program_is_not_ours_to_refuse() -> None:
    assert load(WorkerSettings, environ={"ENGINE_ROOM": "hot"}) == WorkerSettings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("intervall: 2", "no setting is called 'intervall'; did you mean interval?"),
        ("interval: fast", "interval: seconds above 0"),
        ("interval: '2'", "found '2'"),  # text is no number where types can be written
        ("- 1", "names with values, found list"),
        ("a: [", "YAML, found"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(WorkerSettings, file=file, environ={})
    assert words in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a file to read"):
        load(WorkerSettings, file=tmp_path / "none.yaml", environ={})
    with pytest.raises(ConfigError, match=r"ending in \.yaml"):
        load(WorkerSettings, file=tmp_path / "worker.ini", environ={})


def test_a_file_of_comments_changes_nothing(file: Path) -> None:
    file.write_text("# nothing\n")
    assert load(WorkerSettings, file=file, environ={}) == WorkerSettings()
