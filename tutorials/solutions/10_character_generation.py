# %% [markdown]
# # Solutions: characters
#
# The exercises of [lesson 10](../10_character_generation.py), one after the other. The
# networks are smaller than in the lesson, and read less.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

import re

from workshop import corpora, lesson

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np

import keras_rnn

# %% tags=["parameters"]
units = 128  # size of the hidden state
characters = 300_000  # how many to learn from
epochs = 2  # passes over the text
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/solutions/characters"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 16, "characters": 12_000, "epochs": 1})
corpus = corpora.reviews(seed)
corpus = corpus.part(train=characters, validation=1, test=characters // 10)
alphabet = corpus.characters


def trained(texts, labels, window=64, carry=True, passes=epochs):
    """A generator that has learned to write reviews of both kinds."""
    keras.utils.set_random_seed(seed)
    start = keras.initializers.RandomNormal(stddev=0.5)
    cell = keras_rnn.GRUCell(units, initial_state_initializer=start)
    generator = keras_rnn.Generator(
        alphabet, cell, conditions=list(corpus.kinds), start="\n"
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    generator.compile(keras.optimizers.Adam(4e-3, global_clipnorm=1.0), loss)
    batches = windows(generator, texts, labels, window, carry)
    generator.fit(batches, epochs=passes, shuffle=False, verbose=0)
    return generator


class Windows(keras_rnn.ConsecutiveWindows):
    """Windows in order that may all start afresh."""

    carry = True

    def __getitem__(self, index):
        inputs, y = super().__getitem__(index)
        return inputs | {"fresh": inputs["fresh"] | (not self.carry)}, y


def windows(generator, texts, labels, window=64, carry=True):
    """Texts in windows."""
    numbers = [generator.encode(text) for text in texts]
    batches = Windows(numbers, 32, window, labels, seed=seed)
    batches.carry = carry
    return batches


def loss(generator, part="test", **how):
    """The nats per character of a part of the corpus."""
    batches = windows(generator, corpus.texts[part], corpus.labels[part], **how)
    return generator.evaluate(batches, verbose=0)


writer = trained(corpus.texts["train"], corpus.labels["train"])
print(f"{loss(writer):.3f} nats per character")

# %% [markdown]
# ## 1. Only the likeliest 90 %
#
# Most slips come from the many characters that are each unlikely, but together are not.
# `top_p` leaves them out, and keeps the probabilities of the others in proportion.

# %%
known = set(re.findall("[A-Za-z']+", "".join(corpus.texts["train"])))
words = []
for name, top_p in {"all characters": None, "top_p=0.9": 0.9}.items():
    texts = writer.generate(
        [""] * 40, 150, top_p=top_p, stop="\n", seed=seed, condition="positive"
    )
    found = re.findall("[A-Za-z']+", " ".join(texts))
    share = np.mean([word in known for word in found])
    words.append({"sampled from": name, "words": len(found), "known": share})
    print(texts[0], "\n")
lesson.table(words)

# %% [markdown]
# ## 2. Windows of 10 characters
#
# Without the state the network never sees more than ten characters. With it the
# gradient is as short, but the state brings what was read before, and is still of use.

# %%
short = []
for carry in (True, False):
    network = trained(
        corpus.texts["train"], corpus.labels["train"], window=10, carry=carry
    )
    nats = loss(network, window=10, carry=carry)
    short.append({"window": 10, "state carried": carry, "nats per character": nats})
short.append({"window": 64, "state carried": True, "nats per character": loss(writer)})
lesson.table(short)

# %% [markdown]
# ## 3. Units that count
#
# We search on one half of the texts, and measure on the other: among many units one
# always fits a little, by luck.


# %%
def properties(text):
    """What can be said of each character of a text: arrays (characters,)."""
    at = np.arange(len(text))
    space = np.isin(list(text), list(" \n"))
    quotes = np.cumsum(np.array(list(text)) == '"') % 2
    return {
        "a quote is open": quotes.astype(float),
        "characters since the last space": at
        - np.maximum.accumulate(np.where(space, at, 0)),
        "characters since the start": at.astype(float),
    }


pairs = list(zip(corpus.texts["test"], corpus.labels["test"]))[: 40 if quick else 200]
pairs.sort(key=lambda pair: '"' not in pair[0])  # both halves have some with quotes
halves = [pairs[::2], pairs[1::2]]
states, told = [], []
for half in halves:
    read = [writer.read(t[1:].ljust(200), corpus.kinds[k])[1][0] for t, k in half]
    states.append(np.concatenate([h[: len(t)] for h, (t, _) in zip(read, half)]))
    each = [properties(text) for text, _ in half]
    told.append({name: np.concatenate([p[name] for p in each]) for name in each[0]})
counting = []
for name in told[0]:
    if any(np.ptp(values[name]) == 0 for values in told):
        continue  # it does not occur in these texts
    fit = [
        np.array([np.corrcoef(values[name], unit)[0, 1] for unit in h.T])
        for h, values in zip(states, told)
    ]
    best = int(np.nanargmax(np.abs(fit[0])))
    counting.append({"property": name, "unit": best, "correlation": fit[1][best]})
lesson.table(counting)

# %%
text, kind = max(pairs, key=lambda pair: (pair[0].count('"') == 2, len(pair[0])))
h = writer.read(text[1:].ljust(200), corpus.kinds[kind])[1][0]
best = max(counting, key=lambda row: abs(row["correlation"]))
figure, axes = plt.subplots(figsize=(14, 3.8))
axes.plot(h[: min(len(text), 100), best["unit"]])
shown = [{" ": "\u00b7", "\n": "\u21b5"}.get(c, c) for c in text[:100]]
axes.set_xticks(range(len(shown)), shown, fontsize=9)
axes.set(ylabel=f"unit {best['unit']}", title=f"It follows: {best['property']}")
lesson.show(figure, "unit.png")

# %% [markdown]
# ## 4. The best of eight
#
# The network is a better judge than writer: a review need not say much of its kind, and
# those that do are found by their likelihood. (All kinds are as common, so that Bayes'
# rule needs no more.)


# %%
def sure(text, kind):
    """The log of the odds that a text is of this kind and not of the other one."""
    logs = []
    for each in corpus.kinds:
        chances, _ = writer.read(text.ljust(200), each)
        places = writer.encode(text + "\n")
        logs.append(np.log(chances[np.arange(len(places)), places]).sum())
    return (logs[1] - logs[0]) * (1 if kind == "positive" else -1)


odds = {}
for kind in corpus.kinds:
    texts = writer.generate(
        [""] * 8, 150, temperature=0.7, stop="\n", seed=seed, condition=kind
    )
    found = [sure(text, kind) for text in texts]
    odds[kind] = {"first": found[0], "best": max(found)}
    print(
        f"{kind}, the first: {texts[0]}\n  the best: {texts[int(np.argmax(found))]}\n"
    )
lesson.table([{"kind": kind, **two} for kind, two in odds.items()])

# %% [markdown]
# ## 5. A quarter of the text
#
# As many steps, but the same texts four times as often. The loss on them falls, the
# loss on others does not follow: the network begins to learn them by heart
# (*overfitting*).

# %%
quarter = corpus.part(train=characters // 4)
again = trained(quarter.texts["train"], quarter.labels["train"], passes=4 * epochs)
rows = []
for name, network, texts in (("all", writer, corpus), ("a quarter", again, quarter)):
    batches = windows(network, texts.texts["train"], texts.labels["train"])
    train_loss = network.evaluate(batches, verbose=0)
    rows.append({"text": name, "training text": train_loss, "test text": loss(network)})
lesson.table(rows)

# %%
lesson.record(words=words, short=short, counting=counting, odds=odds, quarter=rows)
