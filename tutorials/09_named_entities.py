# %% [markdown]
# # Named entities: a tag for each word
#
# **Which words of a sentence are people, places, organisations and dates?**
#
# Such names are called *named entities*; a *tag* is the label of one word. For each word
# that comes in, one tag goes out: many to many, *aligned*. In the end our network will read
# each sentence twice. One chain of states goes from left to right, from
# $\overrightarrow{h}_0$ on. Another one, with weights and an initial state of its own, goes
# from right to left. They never meet; only the output of a word reads both:
#
# $$\overrightarrow{h}_t = \tanh(x_t \overrightarrow{W}_{xh} + \overrightarrow{h}_{t-1}
# \overrightarrow{W}_{hh} + \overrightarrow{b}_h) \qquad \overleftarrow{h}_t = \tanh(x_t
# \overleftarrow{W}_{xh} + \overleftarrow{h}_{t+1} \overleftarrow{W}_{hh} +
# \overleftarrow{b}_h)$$
# $$y_t = \mathrm{softmax}([\overrightarrow{h}_t, \overleftarrow{h}_t]\, W_{hy} + b_y)$$

# %%
from workshop import drawings_of_tags, lesson, sentences, tagged_text
from workshop.models import TimeDistributed
from workshop.tagging import Batches, Lists, became, f1

# isort: split
import keras
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 64  # size of the hidden state, in each direction
count = 4000  # sentences to train on
epochs = 6  # passes over them
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/named_entities"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 16, "count": 300, "epochs": 1})
words = ["Ada", "Byron", "met", "Babbage", "in", "Turin"]
tags = ["B-PER", "I-PER", "O", "B-PER", "O", "B-LOC"]
lesson.show(drawings_of_tags.draw_both_ways(words, tags), "both_ways.png")

# %% [markdown]
# ## The tags
#
# A name may have several words, and two names may stand side by side. So a tag says two
# things: **B** begins a name, **I** is inside of one, **O** is outside of all names; and
# PER, LOC, ORG or DATE is the class of the name. This is called *BIO*. We read the names
# off the tags: an I continues a name of its own class, and anything else ends it.


# %%
def names_in(tags):
    """The names that some tags tell of: (class, first word, last word) of each."""
    names, first = set(), None
    for at, tag in enumerate([*tags, "O"]):
        if first is not None and tag != "I-" + tags[first][2:]:
            names.add((tags[first][2:], first, at - 1))
            first = None
        if tag.startswith("B-"):
            first = at
    return names


print(sorted(names_in(tags), key=lambda name: name[1]))

# %% [markdown]
# ## How good are tags? First by hand
#
# Most words are no part of a name. A network that says O for every word is often right,
# and finds nothing. So we count *names*. A name is found if its class and both of its
# borders are right. Suppose that a network says what stands in the last row:

# %%
found = ["B-PER", "O", "O", "O", "O", "B-LOC"]
lesson.table([dict(zip(words, row)) for row in (tags, found)])
right = names_in(tags) & names_in(found)
print(f"{len(names_in(tags))} names, {len(names_in(found))} found, right: {right}")

# %% [markdown]
# *Precision*, $P$, is the share of right names among those found: 1/2, since "Ada"
# alone is not the whole name. *Recall*, $R$, is the share of found names among the
# true: 1/3. F1 is their *harmonic mean*, $2 P R / (P + R)$, which is low if one of the
# two is: $2 \cdot \frac12 \cdot \frac13 / (\frac12 + \frac13) = 0.4$. The package
# `seqeval` counts in the same way.

# %%
print(f"F1 by seqeval: {f1([tags], [found]):.3f}")

# %% [markdown]
# ## The sentences
#
# They are composed on the spot from hundreds of templates such as "{person} was born in
# {place}", with names from nineteen countries. The test is a hard one. Its *templates* are
# not those of the training, and no word of its *names* is in a name of the training: it
# asks for what the network cannot have learned by heart.

# %%
random = np.random.default_rng(seed)
templates, _, new_templates = sentences.split_templates(random)
known, new = sentences.Names(new=False), sentences.Names(new=True)
train = sentences.compose(templates, known, count, random)
test = sentences.compose(new_templates, new, 60 if quick else 600, random)
new_words, truth = (list(column) for column in zip(*test))
print(f"{len(train):,} sentences to train on, {len(test)} to test with; two of each:")
for row in (*train[:2], *test[:2]):
    print(" ".join(word + f"/{tag}" * (tag != "O") for word, tag in zip(*row)))

# %% [markdown]
# ## Numbers, padding and the mask
#
# A network reads numbers. Each word that occurs at least three times in the training
# has a number of its own, in lower case. All rare words share the number 1: *unknown*.
# A batch is a rectangle and sentences are not, so the rest is filled up with 0:
# *padding*.

# %%
lists = Lists.of(train, fewest=3)
some = sorted(new_words, key=len)[:: len(test) // 3]
print(lists.inputs(some, word_length=0))
share = np.mean([w.lower() not in lists.word_number for ws in new_words for w in ws])
print(f"{len(lists.words):,} words; of the words of the test {share:.0%} are unknown")

# %% [markdown]
# `mask_zero=True` makes a *mask* of the padding. The recurrent layer leaves its state as
# it is where there is no word, and the loss is the mean over real words alone.
#
# ## The simplest network
#
# An `Embedding` is a table of vectors, one for each word, which are trained like all
# weights. The Elman layer returns the state at *each* step, and a `Dense` layer makes
# probabilities of each of them. The network reads from left to right only.


# %%
def trained(model, word_length=0, hidden=0.0):
    """Trains a model, and returns it."""
    batches = Batches(train, lists, word_length, 32, seed=seed, hidden=hidden)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * len(batches))  # to 0
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)
    return model


def tag(model, of, word_length=0):
    """The tags that a network says, for each of some sentences."""
    return lists.tags_of(model.predict(lists.inputs(of, word_length), verbose=0), of)


size, answers = 2 + len(lists.words), 1 + len(lists.tags)  # with padding and unknown
forward = keras.Sequential(
    [
        layers.Embedding(size, 64, mask_zero=True),
        keras_rnn.ElmanRNN(units, return_sequences=True),
        layers.Dense(answers, activation="softmax"),
    ]
)
trained(forward)
said = {"forward": tag(forward, new_words)}
print(f"F1: {f1(truth, said['forward']):.3f}")

# %% [markdown]
# Does the mask do what it should? We give the network the same sentences with ten more
# steps of padding each, and compare the loss.

# %%
padded = [Batches(test, lists, 0, 32, extra=extra) for extra in (0, 10)]
losses = [forward.evaluate(batches, verbose=0) for batches in padded]
print("loss: {:.6f}, and with more padding {:.6f}".format(*losses))

# %% [markdown]
# ## What does it get wrong?
#
# A network that reads from left to right has not read what comes *after* a word. At the
# first word of a sentence it has read nothing else at all. So we ask how many of the names
# are found (this is recall) by the place where they begin.


# %%
def recall_by_place(found):
    """Recall of the names that begin a sentence, and of the others."""
    hits = {True: [], False: []}
    for true, other in zip(truth, found):
        names = names_in(other)
        for name in names_in(true):
            hits[name[1] == 0].append(name in names)
    return {"at the start": np.mean(hits[True]), "later": np.mean(hits[False])}


places = [{"network": "forward", **recall_by_place(said["forward"])}]
lesson.table(places)

# %% [markdown]
# ## Both directions
#
# Nobody asks for the first tag before the sentence has ended, so we may read it from
# its end, too. `Bidirectional` (lesson 06) makes the second chain, and puts both states
# side by side: the picture at the top.

# %%
both = keras.Sequential(
    [
        layers.Embedding(size, 64, mask_zero=True),
        layers.Bidirectional(keras_rnn.ElmanRNN(units, return_sequences=True)),
        layers.Dense(answers, activation="softmax"),
    ]
)
trained(both)
said["both directions"] = tag(both, new_words)
places.append({"network": "both", **recall_by_place(said["both directions"])})
lesson.table(places)
print(f"F1: {f1(truth, said['both directions']):.3f}")

# %% [markdown]
# At the start of a sentence more than twice as many names are found. Elsewhere there are
# more, too: what comes after a name tells as much as what comes before it.
#
# ## Which class is taken for which?
#
# We count what became of each name: found, found as another class, with other borders, or
# not at all.

# %%
classes = ["PER", "LOC", "ORG", "DATE"]
counts = {"both directions": became(truth, said["both directions"], classes)}
figure = drawings_of_tags.draw_confusions(counts, classes)
lesson.show(figure, "confusion.png")

# %% [markdown]
# Most names get their class. The commonest error is another one: the network does not
# know where a name begins and ends. To it all unknown words are the same word, names or
# not, and it has only their neighbours to go by. But to us "Zanazzo" does not look like an
# unknown verb: it has a capital letter.
#
# ## Spelling: many to one inside many to many
#
# Letters are a sequence, too. A small recurrent network reads the letters of each word, in
# both directions, and its last states stand beside the vector of the word:
# $x_t = [\text{vector of the word}, \text{states over its letters}]$. `TimeDistributed`
# applies it to each word. `Masking` makes a mask of its zeros, where there is no word;
# without it, padding would count as words from here on.


# %%
def with_spelling(dropout):
    """The network over words and their letters."""
    word = keras.Input((None,), dtype="int32")
    letters = keras.Input((None, word_length), dtype="int32")
    spelling = keras.Sequential(
        [
            keras.Input((word_length,), dtype="int32"),
            layers.Embedding(2 + len(lists.letters), 24, mask_zero=True),
            layers.Bidirectional(keras_rnn.ElmanRNN(32)),
        ]
    )
    spelled = layers.Masking()(TimeDistributed(spelling)(letters))
    vectors = layers.Embedding(size, 64, mask_zero=True)(word)
    x = layers.Dropout(dropout)(layers.Concatenate()([vectors, spelled]))
    elman = keras_rnn.ElmanRNN(units, return_sequences=True)
    h = layers.Dropout(dropout)(layers.Bidirectional(elman)(x))
    y = layers.Dense(answers, activation="softmax")(h)
    return keras.Model([word, letters], y)


word_length = 12  # the letters of a word that are read
spelling = trained(with_spelling(dropout=0.0), word_length)
said["and spelling"] = tag(spelling, new_words, word_length)
print(f"F1: {f1(truth, said['and spelling']):.3f}")

# %% [markdown]
# ## What it has learned by heart
#
# How good is this network on the sentences that it was trained on?

# %%
old_words, old_truth = (list(column) for column in zip(*train[: len(test)]))
by_heart = [f1(old_truth, tag(spelling, old_words, word_length))]
print(f"F1 on sentences of the training: {by_heart[0]:.3f}")

# %% [markdown]
# Nearly perfect there: it has learned these sentences by heart, down to their words. So in
# training we *hide* a third of the words, chosen anew in each epoch: they count as unknown.
# For them the network has only letters and neighbours, as it will for the names of the
# test. *Dropout* does the same to single numbers: in each training step it sets a random
# half of them to 0, so that the network relies on no number alone.

# %%
careful = trained(with_spelling(dropout=0.5), word_length, hidden=0.35)
name = "and hidden words"
said[name] = tag(careful, new_words, word_length)
by_heart.append(f1(old_truth, tag(careful, old_words, word_length)))
print(f"F1 on sentences of the training: {by_heart[1]:.3f}")
print(f"F1: {f1(truth, said[name]):.3f}")
counts["with spelling and hidden words"] = became(truth, said[name], classes)
figure = drawings_of_tags.draw_confusions(counts, classes)
lesson.show(figure, "confusions.png")

# %% [markdown]
# Compare the panels: most of what was wrong is right now, the borders above all.
#
# ## Read, with its tags
#
# Three sentences of the test, and three in which the network errs, with the truth below.
# Each name has the colour of its class. The last two sentences come from no template.

# %%
lines = []
wrong = [n for n in range(3, len(test)) if truth[n] != said[name][n]][:3]
for n in [0, 1, 2, *wrong]:
    lines += tagged_text.beside_truth(new_words[n], truth[n], said[name][n])
free = [
    "Keiko Tanaka left the University of Helsinki on 3 May 2019 .".split(),
    "May I ask when Will and Rose will arrive ?".split(),
]
lines += [(None, *row) for row in zip(free, tag(careful, free, word_length))]
colours = tagged_text.colours_of(lists.tags)
lesson.show(tagged_text.draw_lines(lines, colours), "tagged.png")

# %% [markdown]
# ## Summary
#
# 1. Aligned: `return_sequences=True`, and a `Dense` layer that is applied to each step.
# 2. Count names, not words, and let the test ask for what is new.
# 3. If all of the input is there before the first output is due, read it both ways.
# 4. A sequence inside a sequence (letters in words) is many to one inside many to many.
# 5. Padding must cost nothing: follow the mask to the loss, and check.
# 6. Hide in training what will be unknown in use.

# %%
scores = {name: f1(truth, found) for name, found in said.items()}
lesson.table([{"network": name, "F1": score} for name, score in scores.items()])
lesson.record(
    f1=scores, losses=losses, by_place=places, by_heart=by_heart, became=counts
)

# %% [markdown]
# ## Exercises
#
# 1. A dictionary needs no network: each word gets the tag that it had most often in the
#    training, or O if it was not there. What is its F1 on new names, and on known ones?
# 2. Take away the capitals of the names in the test, then all. How much of F1 is lost?
# 3. How many sentences does it take? Train on 250, 500 and 1,000.
# 4. The network may say I-PER after B-LOC or after O. How often does it? Mend these tags
#    with a rule of one line, and count again.
# 5. Replace each `ElmanRNN` by `keras_rnn.GRU`. What does it bring, and what does it cost?
#
# They are solved in [solutions/09_named_entities.py](solutions/09_named_entities.py). For
# sentences of your own there is [a program](../examples/train_entities.py). The next
# lesson writes: [Characters](10_character_generation.py).
