# %% [markdown]
# # Solutions: translation
#
# The exercises of [lesson 11](../11_translation.py), one after the other. The networks
# are smaller than in the lesson, and see fewer dates.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

import time

from workshop import dates, lesson, models, phrases

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_rnn

# %% tags=["parameters"]
units = 64  # size of the hidden states
count = 12_000  # dates to train on
epochs = 4  # passes over the dates
pair_count = 4_000  # phrases to train on
pair_epochs = 3  # passes over the phrases
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/solutions/translation"  # folder for the figures

# %%
small = {"units": 16, "count": 400, "epochs": 1, "pair_count": 200, "pair_epochs": 1}
lesson.begin(globals(), quick=small)
random = np.random.default_rng(seed)
days, _, test_days = dates.cut(random)
train = [d[:2] for d in dates.compose(count, days, dates.LANGUAGES, random)]
test = dates.compose(100 if quick else 1_000, test_days, dates.LANGUAGES, random)


def trained(cell, pairs, passes, read=None, write=None, **arguments):
    """An encoder-decoder that has learned these pairs."""
    keras.utils.set_random_seed(seed)
    sources, targets = zip(*pairs)
    read = read or {*"".join(sources), "?"}
    model = keras_rnn.EncoderDecoder(
        read, write or {*"".join(targets)}, cell, unknown="?", **arguments
    )
    rate = models.rise_and_fall(5e-3, passes * (len(pairs) // 64))
    model.compile(
        keras.optimizers.Adam(rate, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
    )
    model.fit(*model.encode(sources, targets), 64, passes, verbose=0)
    return model


def right(model, pairs):
    """Which of the pairs a model translates to the last character: a boolean array."""
    sources, targets = zip(*pairs)
    return np.array(model.translate(sources)) == targets


# %% [markdown]
# ## 1. From the end
#
# Now the first character of a date is read last, next to where writing begins. Compare
# Hungarian, which puts the year first, with the languages that put it last.

# %%
plain = trained(keras_rnn.GRUCell(units), train, epochs)
turned = trained(keras_rnn.GRUCell(units), [(a[::-1], b) for a, b in train], epochs)
forward = right(plain, [d[:2] for d in test])
backward = right(turned, [(d.source[::-1], d.target) for d in test])
languages = np.array([d.language for d in test])
shares = [
    {
        "language": dates.name(language),
        "from the start": forward[languages == language].mean(),
        "from the end": backward[languages == language].mean(),
    }
    for language in dates.LANGUAGES
]
shares.append(
    {
        "language": "all",
        "from the start": forward.mean(),
        "from the end": backward.mean(),
    }
)
lesson.table(shares)

# %% [markdown]
# ## 2. Elman cells, with attention
#
# With attention the decoder need not keep what was read, so that gates matter less. But
# the states that it looks at must still be told apart, and its own must count what is
# written.

# %%
looking = trained(keras_rnn.ElmanCell(units), train, epochs, attention="dot")
elman = right(looking, [d[:2] for d in test]).mean()
print(f"Elman with attention: {elman:.3f}, GRU without: {forward.mean():.3f}")

# %% [markdown]
# ## 3. How far the loss reaches back
#
# Before training, without attention, the gradient has passed every later step. With
# attention there is a short way to each $h_s$, so the profile is much flatter.

# %%
x, y = plain.encode(*zip(*[d[:2] for d in test if len(d.source) >= 12][:100]))
figure, axes = plt.subplots(figsize=(10, 5))
falls = {}
for name, attention in {"without attention": None, "with attention": "dot"}.items():
    keras.utils.set_random_seed(seed)
    fresh = keras_rnn.EncoderDecoder(
        plain.source_vocabulary, plain.target_vocabulary, keras_rnn.GRUCell(units),
        attention=attention, unknown="?",
    )  # fmt: skip
    fresh.compile(loss=plain.loss)
    norms = keras_rnn.state_gradients(fresh, x, y, per_example=True)
    (encoder,) = (v for k, v in norms.items() if "encoder" in k.split("/")[-1])
    sizes = np.count_nonzero(x[0], axis=1)
    last = np.mean([row[size - 12 : size] for row, size in zip(encoder, sizes)], axis=0)
    axes.semilogy(np.arange(11, -1, -1), last / last[-1], "o-", label=name)
    falls[name] = last[0] / last[-1]
axes.set(xlabel="steps from $h_s$ to $h_S$", ylabel="norm of $dL/dh_s$ (at the end: 1)")
axes.legend()
lesson.show(figure, "gradients.png")
lesson.table([{"network": n, "12 steps before the end": v} for n, v in falls.items()])

# %% [markdown]
# ## 4. Characters or pieces
#
# Pieces make the texts shorter by far. Each step costs more, since there are more
# pieces to choose from than characters. Losses per piece and per character cannot be
# compared, but the log-probability of whole translations can: the larger, the better.

# %%
training, _, testing = phrases.cut(phrases.compose(pair_count * 5 // 4, random), random)
units_compared = []
for name, merges in {"characters": 1, "pieces": 1_000}.items():
    read, write = (keras_rnn.learn_pieces(texts, merges) for texts in zip(*training))
    write += {*"".join(target for _, target in testing)}  # no character is unknown
    start = time.perf_counter()
    model = trained(
        keras_rnn.GRUCell(units), training, pair_epochs, [*read, "?"], write,
        attention="dot",
    )  # fmt: skip
    seconds = time.perf_counter() - start
    steps = model.encode(*zip(*training))[1].shape[1]
    row = {"read and written": name, "steps of the longest": steps, "seconds": seconds}
    row["log p"] = model.log_probability(*zip(*testing[:200])).mean()
    units_compared.append(row)
lesson.table(units_compared)

# %% [markdown]
# ## 5. After a wrong character
#
# `read` and `step` are the two halves of `translate`. We write "3" in the place of the
# first digit. The network was trained on true texts only: it has never seen what
# follows a slip. In dates one digit says little about the next ones, so that the rest
# may still be right; in a sentence it seldom is.

# %%
text = "7 septembre 2018"
states, memory = looking.read(looking.encode([text]))
token, written = np.zeros((1, 1), "int32"), []
for t in range(10):
    scores, states = looking.step(token, states, memory)  # (1, 1, characters)
    token = 2 + np.argmax(scores[..., 2:], axis=-1)  # neither padding nor stop
    if t == 0:
        token[:] = looking.target_vocabulary.index("3") + 2
    written.append(int(token[0, 0]))
print(f"{text} -> {looking.decode(written)}, of itself {looking.translate(text)}")

# %%
lesson.record(
    shares=shares,
    elman=elman,
    falls=falls,
    units=units_compared,
    slip=looking.decode(written),
)
