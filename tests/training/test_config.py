"""One value that decides everything, and says so when it cannot."""

import tomllib

import pytest

from memtools.errors import ConfigError
from memtools.training.config import load_config, parse_overrides, presets


@pytest.mark.parametrize("name", presets())
def test_every_preset_loads_and_replays_itself(name, tmp_path):
    config = load_config(name)
    (tmp_path / "again.toml").write_text(config.to_toml())
    assert load_config(str(tmp_path / "again.toml")) == config


def test_lines_from_memory_say_so():
    import importlib.resources

    files = importlib.resources.files("memtools.training") / "presets"
    text = (files / "cifar100-resnet50.toml").read_text()
    for key in ("epochs", "batch_size", "peak_lr", "schedule", "warmup"):
        (line,) = (line for line in text.splitlines() if line.startswith(key))
        assert line.endswith("# from memory")


def test_settings_override_with_toml_values_or_bare_words():
    settings = parse_overrides(["epochs=3", "hidden=[7, 8]", "design=balanced", "peak_lr=1"])
    config = load_config("digits-demo", settings)
    assert (config.epochs, config.hidden, config.design, config.peak_lr) == (
        3,
        (7, 8),
        "balanced",
        1.0,
    )
    assert tomllib.loads(config.to_toml())["hidden"] == [7, 8]


@pytest.mark.parametrize(
    ("what", "settings", "words", "hint"),
    [
        ("digit-demo", {}, "no preset 'digit-demo'", "digits-demo"),
        ("digits-demo", {"epoch": 3}, "'epoch' is no key", "epochs"),
        ("digits-demo", {"epochs": "many"}, "epochs is 'many'", "int"),
        ("digits-demo", {"epochs": True}, "epochs is True", "int"),
        ("digits-demo", {"design": "even"}, "design is 'even'", "uniform, balanced"),
        ("digits-demo", {"ratio": 1.0}, "ratio is 1.0", "within"),
        ("digits-demo", {"ratio": 0}, "ratio is 0.0", "within"),
        ("digits-demo", {"epochs": 0}, "epochs is 0", "above 0"),
        ("digits-demo", {"hidden": [1.5]}, "hidden is 1.5", "int"),
        ("digits-demo", {"hidden": 8}, "hidden is 8", "a list of int"),
        ("digits-demo", {"hidden": [8, 0]}, r"hidden is \[8, 0\]", "numbers above 0"),
        ("digits-demo", {"seed": -1}, "seed is -1", "0 or above"),
        ("digits-demo", {"stack": 0}, "stack is 0", "above 0"),
        ("digits-demo", {"peak_lr": float("inf")}, "peak_lr is inf", "finite"),
        ("digits-demo", {"peak_lr": float("nan")}, "peak_lr is nan", "finite"),
        ("digits-demo", {"momentum": -0.1}, "momentum is -0.1", "within"),
        ("digits-demo", {"momentum": 1}, "momentum is 1.0", "within"),
        ("digits-demo", {"weight_decay": -1e-4}, "weight_decay is -0.0001", "0 or above"),
        ("digits-demo", {"drops": [0.5, 1.5]}, r"drops is \[0.5, 1.5\]", "shares within"),
        ("digits-demo", {"warmup": 1.0}, "warmup is 1.0", "within"),
        ("digits-demo", {"label_smoothing": 1.0}, "label_smoothing is 1.0", "within"),
        ("digits-demo", {"flipped": -0.1}, "flipped is -0.1", "within"),
        ("digits-demo", {"design": "complementary"}, "ratio is 0.7", "0.5 where design is"),
    ],
)
def test_what_cannot_be_is_refused_with_what_could(what, settings, words, hint):
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(what, settings)
    assert hint in caught.value.hint


def test_a_file_that_is_none_or_says_too_little_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("dataset = [")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(str(path))
    path.write_text('dataset = "digits"')
    with pytest.raises(ConfigError, match="says nothing of model, epochs, batch_size, peak_lr"):
        load_config(str(path))
    with pytest.raises(ConfigError, match="'epochs' is no setting"):
        parse_overrides(["epochs"])
