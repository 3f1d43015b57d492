"""Registry files are parsed strictly: a mistake is named by file and line."""

import tomllib
import urllib.parse

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from worlds import artifact

import memtools
from memtools.artifacts.manifest import builtin_registry, parse_registry, write_registry
from memtools.artifacts.registry import Registry
from memtools.errors import ConfigError
from memtools.estimates.about import About

GOOD = """\
# a registry
[groups]
all = ["one", "two"]

[[artifact]]
name = "one"
file = "one.npz"
dataset = "cifar100"
kind = "pairs"
order = "official"
definition = "the file name of each size"
direction = "none"
paper = "none"
approximate_size = 10
size = 10
md5 = "0123456789abcdef0123456789abcdef"
[[artifact.parts]]
url = "https://example.org/data/one_a.bin"
size = 4
git_blob = "0123456789abcdef0123456789abcdef01234567"
[[artifact.parts]]
url = "one_b.bin"
size = 6
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

[[artifact]]
name = "two"
file = "two.npz"
dataset = "mnist"
kind = "cscores"
order = "tfds"
definition = "none"
direction = "none"
paper = "none"
doubt = "some"
huge = true
[[artifact.parts]]
url = "two.bin"
"""


def parse(text, base="https://example.org/registry/"):
    return parse_registry(text, where="mine.toml", base=base)


def refusal(text, base="https://example.org/registry/"):
    """(message, line number that it names) of the refusal of a text."""
    with pytest.raises(ConfigError) as caught:
        parse(text, base)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    message = str(caught.value)
    assert message.startswith("mine.toml, line ")
    return message, int(message.split("line ")[1].split(":")[0])


def edited(old, new):
    """(the good registry with one line replaced, the number of that line)."""
    lines = GOOD.splitlines()
    at = lines.index(old)
    return "\n".join([*lines[:at], new, *lines[at + 1 :]]), at + 1


def test_a_good_registry_is_taken_as_it_stands():
    registry = parse(GOOD)
    one, two = registry["one"], registry["two"]
    assert registry.groups == {"all": ("one", "two")}
    assert (one.file, one.dataset, one.kind, one.order) == (
        "one.npz",
        "cifar100",
        "pairs",
        "official",
    )
    assert (one.size, one.approximate_size, one.md5) == (10, 10, "0123456789abcdef" * 2)
    assert [part.size for part in one.parts] == [4, 6]
    assert one.parts[0].git_blob == "0123456789abcdef" * 2 + "01234567"
    assert one.parts[1].sha256 == "0123456789abcdef" * 4
    assert (two.huge, two.doubt, one.huge, one.doubt) == (True, "some", False, "")


def test_the_registry_that_comes_along_is_good():
    assert len(builtin_registry().artifacts) == 12


def test_what_the_tests_write_is_good():
    text = artifact(["a.bin", "b.bin"], [b"12", b"345"])
    assert parse(text)["thing"].total_size == 5


# ---- names that become file names


BAD_FILE_NAMES = {
    "parent": "../x",
    "absolute": "/x",
    "backslash": "a\\\\b",
    "drive": "C:x",
    "device": "CON",
    "device with a suffix": "nul.npz",
    "numbered device": "Com1.bin",
    "NUL": "a\\u0000b",
    "300 characters": "x" * 300,
    "201 bytes of 3 each": "\u20ac" * 67,
    "empty": "",
    "dot": ".",
    "hidden": ".x",
    "option": "-rf",
    "home": "~x",
    "ends in a dot": "x.",
    "ends in a space": "x ",
    "a line break": "a\\nb",
    "escape": "a\\u001b[2Jb",
    "text runs backwards": "x\\u202ezpn",
    "question": "a?b",
    "star": "a*b",
    "pipe": "a|b",
    "quote": 'a\\"b',
}


@pytest.mark.parametrize("name", BAD_FILE_NAMES.values(), ids=BAD_FILE_NAMES)
def test_what_is_no_plain_file_name_is_refused_with_its_line(name):
    text, line = edited('file = "two.npz"', f'file = "{name}"')
    message, named = refusal(text)
    assert named == line
    assert "plain file name" in message or "file is not text" in message


@pytest.mark.parametrize("name", ["a b.npz", "x" * 200, "größe.npz", "con1.npz", "console", "a..b"])
def test_a_plain_file_name_is_taken(name):
    assert parse(edited('file = "two.npz"', f'file = "{name}"')[0])["two"].file == name


@pytest.mark.parametrize("name", ["Two", "a b", "../x", "", "-x", "ä", "a/b", "x" * 101])
def test_what_is_no_plain_name_is_refused_with_its_line(name):
    text, line = edited('name = "two"', f'name = "{name}"')
    assert refusal(text)[1] == line


@pytest.mark.parametrize("file", ["one.npz", "ONE.npz", "One.NPZ"])
def test_two_artifacts_may_not_become_one_file_on_any_disk(file):
    text, line = edited('file = "two.npz"', f'file = "{file}"')
    message, named = refusal(text)
    assert named == line
    assert "twice" in message or "clash" in message


def test_a_name_that_stands_there_twice_is_refused_at_its_second_place():
    text, line = edited('name = "two"', 'name = "one"')
    message, named = refusal(text.replace('["one", "two"]', '["one"]'))
    assert "'one' stands there twice" in message
    assert named == line


def test_a_group_may_not_be_called_like_an_artifact():
    text, line = edited('all = ["one", "two"]', 'two = ["one"]')
    message, named = refusal(text)
    assert "'two' stands there twice" in message
    assert named == line


@pytest.mark.parametrize("url", ["one_a.bin", "ONE_A.bin", "https://other.example.org/one_a.bin"])
def test_two_parts_of_one_file_may_not_share_a_name(url):
    text, line = edited('url = "one_b.bin"', f'url = "{url}"')
    message, named = refusal(text)
    assert named == line
    assert "twice" in message or "clash" in message


# ---- digests and sizes


@pytest.mark.parametrize(
    ("old", "key", "length"),
    [
        ('md5 = "0123456789abcdef0123456789abcdef"', "md5", 32),
        ('git_blob = "0123456789abcdef0123456789abcdef01234567"', "git_blob", 40),
        (
            'sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"',
            "sha256",
            64,
        ),
    ],
)
def test_a_digest_that_is_not_lower_case_hex_of_its_length_is_refused_with_its_line(
    old, key, length
):
    good = ("0123456789abcdef" * 4)[:length]
    wrong = [
        good.upper(),
        good[:-1],
        good + "0",
        " " + good,
        good + " ",
        good[:-2] + " 0",
        "",
        f"{key}:{good}",
        "g" + good[1:],
        "\u0660" * length,  # digits, of another script
    ]
    for value in wrong:
        text, line = edited(old, f'{key} = "{value}"')
        message, named = refusal(text)
        assert named == line, value
        assert f"{key} is not {length} lower-case hex digits" in message
    for value in ("1" * length, "true", "[]"):  # no text at all
        text, line = edited(old, f"{key} = {value}")
        assert refusal(text)[1] == line


@pytest.mark.parametrize("value", ["0", "-1", "1.5", '"6"', "true", "[6]", "nan"])
@pytest.mark.parametrize("old", ["size = 6", "size = 10", "approximate_size = 10"])
def test_a_size_that_is_no_positive_number_of_bytes_is_refused_with_its_line(old, value):
    key = old.split()[0]
    text, line = edited(old, f"{key} = {value}")
    message, named = refusal(text)
    assert named == line
    assert f"{key} is not a positive number of bytes" in message


def test_parts_must_add_up_to_the_whole():
    text, line = edited("size = 10", "size = 11")
    message, named = refusal(text)
    assert "10 bytes together" in message
    assert named == line


# ---- keys


@pytest.mark.parametrize(
    ("old", "new", "near"),
    [
        ('paper = "none"', 'papre = "none"', "paper"),
        ("huge = true", "hugh = true", "huge"),
        ('url = "two.bin"', 'uri = "two.bin"', "url"),
        ("size = 6", "sizes = 6", "size"),
        ('all = ["one", "two"]', 'all = ["one", "two"]\n[group]', "groups"),
        ("[groups]", "[[artefact]]", "artifact"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(old, new, near):
    message, _ = refusal(edited(old, new)[0])
    assert "unknown key" in message
    assert f"nearest known one is {near!r}" in message


@pytest.mark.parametrize("line", ['extra = "x"', '"ext ra" = "x"', "parts2 = []"])
def test_an_unknown_key_is_named_with_its_line(line):
    text, at = edited('doubt = "some"', line)
    assert refusal(text)[1] == at


@pytest.mark.parametrize(
    "key", ["name", "file", "dataset", "kind", "order", "definition", "direction", "paper"]
)
def test_a_missing_key_is_named_with_the_line_of_its_table(key):
    lines = GOOD.splitlines()
    header = len(lines) - 1 - lines[::-1].index("[[artifact]]")
    text = "\n".join(
        line for n, line in enumerate(lines) if n < header or not line.startswith(f"{key} =")
    )
    message, named = refusal(text)
    assert f"{key} is missing" in message
    assert named == header + 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('paper = "none"', "paper = 5"),
        ('paper = "none"', 'paper = ""'),
        ("huge = true", 'huge = "yes"'),
        ("huge = true", "huge = 1"),
        ('kind = "cscores"', 'kind = "marks"'),
        ('order = "tfds"', 'order = "any"'),
        ('url = "two.bin"', "url = 5"),
    ],
)
def test_a_value_of_another_type_or_vocabulary_is_named_with_its_line(old, new):
    text = GOOD[::-1].replace(old[::-1], new[::-1], 1)[::-1]  # the last such line
    line = len(GOOD[: GOOD.rindex(old)].splitlines()) + 1
    assert refusal(text)[1] == line


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_what_ends_a_line_elsewhere_but_not_in_toml_is_not_counted(end):
    text, line = edited("size = 10", "size = -3")
    assert refusal(text.replace("# a registry", f"# a{end} registry"))[1] == line


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_counted_whichever_way_they_end(end):
    text, line = edited("size = 10", "size = -3")
    assert refusal(text.replace("\n", end))[1] == line


def test_a_line_that_only_mentions_the_key_is_not_blamed():
    # `definition` above mentions name and size; approximate_size holds "size".
    text, line = edited("size = 10", "size = -3")
    assert refusal(text)[1] == line


@pytest.mark.parametrize(
    "text",
    [
        "artifact = 5",
        'artifact = ["x"]',
        "[artifact]\nname = 'x'",
        "groups = 5",
        "groups = 'x'",
        "groups = ['x']",
        "[groups]\nx = [[1]]",
        "[groups]\nx = [{a = 1}]",
        "[groups]\nx = ['nobody']",
        "[groups]\nx = []",
        "[groups]\nx = 'one'",
        GOOD.split("[[artifact.parts]]")[0].replace('all = ["one", "two"]', ""),
        GOOD + "\n[[artifact]]\nparts = 5",
    ],
)
def test_a_table_where_another_thing_should_be_is_refused(text):
    assert refusal(text)[1] >= 1


def test_what_is_no_toml_is_refused_with_the_line_that_the_parser_gives():
    with pytest.raises(ConfigError, match=r"mine.toml: not valid TOML: .*line 6"):
        parse(edited('name = "one"', "name = one")[0])


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "a = 1\na = 2", "\x00"], ids=lambda t: t[:9]
)
def test_text_that_chokes_a_parser_is_refused_like_any_other(text):
    with pytest.raises(ConfigError, match="not valid TOML"):
        parse(text)


# ---- where parts are


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("https://a.example.org/x.bin", "https://a.example.org/x.bin"),
        ("http://a.example.org/x.bin", "https://a.example.org/x.bin"),
        ("HTTP://a.example.org:8080/x.bin", "https://a.example.org:8080/x.bin"),
        ("x.bin", "https://example.org/registry/x.bin"),
        ("deep/er/x.bin", "https://example.org/registry/deep/er/x.bin"),
    ],
)
def test_an_address_is_https_or_relative_to_the_registry(url, meant):
    text, _ = edited('url = "two.bin"', f'url = "{url}"')
    assert parse(text)["two"].parts[0].url == meant


def test_beside_a_registry_on_a_disk_a_relative_address_is_a_file(tmp_path):
    part = parse(GOOD, base=str(tmp_path))["two"].parts[0]
    assert part.path == tmp_path / "two.bin"
    text, _ = edited('url = "two.bin"', 'url = "deep/er/x.bin"')
    assert parse(text, base=str(tmp_path))["two"].parts[0].path == tmp_path / "deep" / "er/x.bin"


@pytest.mark.parametrize("base", ["https://example.org/registry/", "/some/dir"])
@pytest.mark.parametrize(
    "url",
    [
        "/etc/passwd",
        "//other.example.org/x.bin",
        "../x.bin",
        "a/../../x.bin",
        "a/%2e%2e/x.bin",
        "./x.bin",
        "a//x.bin",
        "a\\\\x.bin",
        "file:///etc/passwd",
        "ftp://example.org/x.bin",
        "C:/x.bin",
        "data:,x",
        "https:///x.bin",
        "https://[x/y.bin",
        "https://a\\u2100b/y.bin",
        "https://example.org/",
        "https://example.org/..",
        "https://example.org/CON",
        "https://example.org/a%2fb%00",
        "https://example.org/" + "x" * 300,
        "d\\u0000/x.bin",
        "https://example.org/a\\nb/x.bin",
        "https://exa\\tmple.org/x.bin",
        " ",
    ],
)
def test_an_address_that_leaves_its_place_is_refused_with_its_line(url, base):
    text, line = edited('url = "two.bin"', f'url = "{url}"')
    assert refusal(text, base)[1] == line


@pytest.mark.parametrize(
    "url",
    [
        "a?/../../x.bin",
        "a%3F/../../x.bin",
        "x.bin?y",
        "x.bin?/../../../etc/passwd",
        "x.bin#/../../etc/passwd",
        "#x.bin",
        "?x.bin",
        "a%2F..%2F..%2Fx.bin",
        "%2e%2e/x.bin",
        "%2e%2e%2fx.bin",
        "%2Fetc%2Fpasswd",
        "a%5Cb/x.bin",
        "C%3A/x.bin",
        "C%3Ax.bin",
        "a%00/x.bin",
        " /etc/passwd",
        " //other.example.org/x.bin",
        "a/..;/x.bin/..",
    ],
)
def test_an_address_does_not_leave_the_folder_of_a_registry_on_a_disk(url, tmp_path):
    text, line = edited('url = "two.bin"', f'url = "{url}"')
    assert refusal(text, str(tmp_path))[1] == line


@pytest.mark.parametrize("url", ["a%23b.bin", "a%20b/c.bin", "%252e%252e/x.bin", "größe/x;y.bin"])
def test_what_is_escaped_in_an_address_is_part_of_a_file_name_on_a_disk(url, tmp_path):
    text, _ = edited('url = "two.bin"', f'url = "{url}"')
    path = parse(text, str(tmp_path))["two"].parts[0].path
    assert path == tmp_path / urllib.parse.unquote(url)
    assert path.resolve().is_relative_to(tmp_path)


@pytest.mark.parametrize("url", ["x.bin?token=abc", "x.bin?a=/../../y"])
def test_beside_a_registry_on_the_network_an_address_may_have_a_query(url):
    text, _ = edited('url = "two.bin"', f'url = "{url}"')
    part = parse(text)["two"].parts[0]
    assert (part.url, part.file) == (f"https://example.org/registry/{url}", "x.bin")


OURS = ["x.part", "x.npz.part", "x.part.json", "x.part.lock", "x.PART.a-b-c-d", "x.part.npz",
        "x.npz.lock", "x.tmp", "x.receipt.json", ".x.receipt.json"]  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_names_of_our_own_temporary_files_are_refused_with_their_line(name):
    text, line = edited('file = "two.npz"', f'file = "{name}"')
    message, at = refusal(text)
    assert (at, name in message) == (line, True)
    if name.islower() and not name.startswith("."):
        text, line = edited('name = "two"', f'name = "{name}"')
        text = text.replace('all = ["one", "two"]', f'all = ["one", "{name}"]')
        message, at = refusal(text.replace(f'"{name}"', '"one"', 1))
        assert (at, "temporary files" in message) == (line, True)


def test_a_publication_cannot_be_named_like_our_own_temporary_files(tmp_path):
    np.savez(tmp_path / "s.npz", scores=np.linspace(0, 1, 100), labels=np.arange(100) % 10)
    about = About(dataset="mnist", order="official", direction="high = typical", definition="x")
    for name in ("x.part", "x.lock"):
        with pytest.raises(ConfigError, match="like the temporary files of memtools"):
            memtools.publish(tmp_path / "s.npz", tmp_path / name, about=about)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["apart", "x.parts", "part", "x.json", "lock", "x.npz"])
def test_names_that_only_resemble_ours_are_taken(name):
    text, _ = edited('file = "two.npz"', f'file = "{name}"')
    assert parse(text)["two"].file == name


# ---- laws

SCRAPS = st.sampled_from(
    [
        *GOOD.splitlines(),
        *(f"{key} = {value}" for key in ("size", "md5", "url", "parts", "groups", "x")
          for value in ("5", '""', '"x"', "[]", "[1]", "{}", "true", "1979-05-27", "inf")),
        "[[groups]]",
        "[artifact]",
        "[artifact.parts]",
        "[[artifact.parts.parts]]",
    ]
)  # fmt: skip


def parses_or_is_refused(text):
    try:
        registry = parse(text)
    except ConfigError as error:
        assert str(error).startswith("mine.toml")
    else:
        assert isinstance(registry, Registry)
        tomllib.loads(text)  # at least that


@settings(deadline=None, max_examples=150)
@given(st.text())
@example("[[artifact]]\n[[artifact]]")
@example("\u2028[groups]\nx=1")
def test_any_text_is_a_registry_or_refused_and_nothing_else(text):
    parses_or_is_refused(text)


@settings(deadline=None, max_examples=150)
@given(st.lists(SCRAPS, max_size=12).map("\n".join))
def test_any_lines_of_registries_are_a_registry_or_refused_and_nothing_else(text):
    parses_or_is_refused(text)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_registry_with_a_bite_taken_out_is_a_registry_or_refused(data):
    start = data.draw(st.integers(0, len(GOOD)))
    stop = data.draw(st.integers(start, min(len(GOOD), start + 60)))
    filling = data.draw(st.text(max_size=3))
    parses_or_is_refused(GOOD[:start] + filling + GOOD[stop:])


@settings(deadline=None, max_examples=150)
@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_whatever_file_name_is_taken_stays_inside_its_directory(name, tmp_path_factory):
    value = "".join(f"\\U{ord(each):08x}" for each in name)
    try:
        registry = parse(edited('file = "two.npz"', f'file = "{value}"')[0])
    except ConfigError:
        return
    directory = tmp_path_factory.getbasetemp()
    path = directory / registry["two"].file
    assert path.parent == directory
    assert path.resolve().parent == directory.resolve()
    assert path.name == name


@pytest.mark.parametrize("known", builtin_registry().artifacts.values(), ids=lambda each: each.name)
def test_what_is_written_is_read_as_the_same(known):
    assert parse(write_registry(known)).artifacts == {known.name: known}
