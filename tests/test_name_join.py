"""Names are joined by what they stand for, and whatever is doubtful is refused."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from memtools.estimates.identity import identify, synset_of
from memtools.estimates.image_stems import parse_names, synset_codes
from memtools.estimates.names import NameColumn

SMALL = settings(max_examples=150, deadline=None, derandomize=True, database=None)
SYNSETS = st.sampled_from(["n01440764", "n01443537", "n0144076", "n014407641", "N01440764"])
PARTS = st.one_of(
    SYNSETS,
    st.sampled_from(
        ["/", "\\", ".", "_", "//", ".JPEG", ".jpg", ".WebP", ".tiff", ".gz", "_n01440764", "train"]
    ),
    st.text("n_0129./\\éß٣", max_size=6),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.integers(0, 10**9).map(str),
    st.integers(1, 90).map(lambda n: "x" * n),
)
NAMES = st.lists(PARTS, max_size=7).map("".join)


def code_of(synset):
    return int(synset[1:]) if synset else -1


@SMALL
@given(st.lists(NAMES, max_size=12))
@example([])
@example(["", "a", "", "/", "\\", ".png", "/.png", "a/n01440764/", "n01440764/x", "/n01440764/x"])
@example(["x" * 40 + "/n01440764/" + "y" * n for n in range(40, 60)])
@example(
    ["an01440764/x.png", "n01443537/a_n01440764.JPEG", "a_b_n01440764", "_n01440764", "a\0b\0"]
)
def test_parse_names_of_a_column_gives_what_identify_gives(names):
    stems, claims = parse_names(NameColumn.of(names))
    truth = [identify(name) for name in names]
    assert list(stems) == [stem for stem, _ in truth]
    assert claims.tolist() == [code_of(claim) for _, claim in truth]
    assert synset_codes(stems).tolist() == [code_of(synset_of(stem)) for stem, _ in truth]
