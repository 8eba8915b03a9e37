# %% [markdown]
# # Translation: one network reads, another one writes
#
# **How can a network read a text, and then write another one of another length?**
#
# With two networks. The *encoder* reads, step by step. The state that it ends in,
# $h_S$, is where the *decoder* starts. The decoder writes one character at a time, and
# each one that it has written is what it reads next, until it writes "stop".
#
# $$h_s = g(x_s, h_{s-1}) \qquad d_0 = h_S \qquad d_t = g'(y_{t-1}, d_{t-1}) \qquad
# y_t \sim \mathrm{softmax}(d_t W_{dy} + b_y)$$
#
# $x_s$ is the $s$-th character read, for $s = 1 \ldots S$. $y_t$ is here the $t$-th one
# written: the softmax says how probable each is ($\sim$). $g$ and $g'$ are cells, here
# GRUs (lesson 05), each with weights of its own. ($g'$ is not a derivative.)

# %%
import itertools

from workshop import dates, drawings_of_translation, lesson, models, phrases

# isort: split
import keras
import numpy as np
import sacrebleu
from keras import layers

import keras_rnn
from keras_rnn.pieces import Pieces

# %% tags=["parameters"]
units = 128  # size of the hidden states
count = 25_000  # dates to train on
epochs = 5  # passes over the dates
pairs = ""  # your own pairs: a file with source, tab, target on each line
merges = 800  # pieces of words beside the characters, in each language
pair_count = 10_000  # pairs to train on, at most
pair_epochs = 6  # passes over the pairs
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/translation"  # folder for the figures

# %%
small = {"units": 32, "count": 1_000, "epochs": 1, "pair_count": 500, "pair_epochs": 1}
lesson.begin(globals(), quick={**small, "merges": 100})
figure = drawings_of_translation.draw_encoder_decoder(list("7 mai"), list("05-07"))
lesson.show(figure, "encoder_decoder.png")

# %% [markdown]
# ## Dates of a dozen languages
#
# We begin with a small language. The encoder reads a day as people write it, in one of
# twelve languages; the decoder has to write it as a computer does. That has much of
# what makes translation hard: words of several languages, numbers to copy, another
# order. Days that we test with are never trained on.

# %%
random = np.random.default_rng(seed)
train_days, _, test_days = dates.cut(random)
train = dates.compose(count, train_days, dates.LANGUAGES, random)
test = dates.compose(100 if quick else 2_000, test_days, dates.LANGUAGES, random)
sources, targets, _ = zip(*train)
asked, wanted, _ = zip(*test)
lesson.table([{"read": a, "write": b} for a, b in zip(sources[:6], targets)])

# %% [markdown]
# ## From characters to numbers
#
# Each side has a list of its characters. 0 fills up texts that are shorter than the
# longest one, 1 is the stop, and the characters follow. In training the decoder does
# not read what it wrote itself, but the *true* characters, moved on by one step
# (`previous`). This is called *teacher forcing*: one wrong character does not spoil the
# rest of the text.

# %%
PADDING, STOP, FIRST = 0, 1, 2
reads = "".join(sorted({*"".join(sources), "?"}))  # ? stands for what is not known
writes = "-0123456789"


def numbers(texts, characters, end=()):
    """The numbers of the characters of texts: (texts, the longest)."""
    places = {c: FIRST + i for i, c in enumerate(characters)}
    rows = [[*(places.get(c, places.get("?")) for c in text), *end] for text in texts]
    return np.array([*itertools.zip_longest(*rows, fillvalue=PADDING)]).T


x, y = numbers(sources, reads), numbers(targets, writes, end=[STOP])
previous = np.pad(y[:, :-1], ((0, 0), (1, 0)))  # 0 stands before the first one, too
print("the encoder reads:", x[0])
print("the decoder reads:", previous[0])
print("and has to write: ", y[0])

# %% [markdown]
# ## The two networks, in plain Keras
#
# `return_state=True` returns the last state, $h_S$. The decoder gets it as
# `initial_state`, so that it needs no learned $h_0$. `mask_zero=True` lets the encoder
# skip the padding (lesson 07). That is all of the wiring.

# %%
source, before = (keras.Input((None,), dtype="int32") for _ in range(2))
read_vectors = layers.Embedding(FIRST + len(reads), 32, mask_zero=True)
write_vectors = layers.Embedding(FIRST + len(writes), 32)
encoder = keras_rnn.GRU(units, return_state=True)
decoder = keras_rnn.GRU(
    units, return_sequences=True, return_state=True, learn_initial_state=False
)
logits = layers.Dense(FIRST + len(writes))

_, h_S = encoder(read_vectors(source))
d, _ = decoder(write_vectors(before), initial_state=h_S)  # (batch, T, units)
network = keras.Model([source, before], logits(d))
print(f"h_S: {h_S.shape}, d_t: {d.shape}, logits: {network.output.shape}")

# %% [markdown]
# The loss is $-\ln p$ of the true character, averaged over all characters and the stop
# (in *nats*, lesson 10). `ignore_class=0` leaves out the padding. `ExactMatch` is the
# share of dates of which *every* character is right: given the true ones before it,
# each is the most probable. The learning rate rises at the start, then falls to 0.
# The gradient is clipped (lesson 04).


# %%
def learn(network, inputs, targets, epochs):
    """Trains a network, and tells how it goes: the last tenth is to validate."""
    steps = epochs * (len(targets) * 9 // 10 // 64)
    network.compile(
        keras.optimizers.Adam(models.rise_and_fall(5e-3, steps), global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
        metrics=[keras_rnn.ExactMatch()],
    )
    how = {"batch_size": 64, "epochs": epochs, "validation_split": 0.1, "verbose": 0}
    found = network.fit(inputs, targets, **how).history
    names = ["loss", "val_loss", "val_exact_match"]
    rows = zip(range(1, epochs + 1), *(found[name] for name in names))
    lesson.table([dict(zip(["epoch", *names], row)) for row in rows])


learn(network, [x, previous], y, epochs)

# %% [markdown]
# ## Writing
#
# Now nobody knows the true characters. So we go step by step: what is most probable is
# written, and read at the next step. This is called *greedy* decoding. In training the
# *inputs* of all steps are known at once; the states come one by one, there as here.

# %%
token, state = keras.Input((1,), dtype="int32"), keras.Input((units,))
one, following = decoder(write_vectors(token), initial_state=state)
step = keras.Model([token, state], [logits(one), following])
read = keras.Model(source, h_S)


def greedy(texts, most=12):
    """What the network writes after reading texts."""
    state = read(numbers(texts, reads))
    token, written = keras.ops.zeros((len(texts), 1), "int32"), []
    for _ in range(most):
        chances, state = step([token, state])
        token = STOP + keras.ops.argmax(chances[..., STOP:], axis=-1)  # (texts, 1)
        written.append(np.array(token)[:, 0])
    names = ["", "\n", *writes]  # of the padding, the stop, the characters
    rows = ("".join(names[n] for n in row) for row in zip(*written))
    return [row.split("\n")[0] for row in rows]  # up to the stop


for text in ("7 septembre 2018", "den 12 september 2018", "2018. szeptember 12."):
    print(f"{text:24} {greedy([text])[0]}")
plain = np.array(greedy(asked)) == wanted
print(f"exact match on days never seen: {plain.mean():.3f}")

# %% [markdown]
# ## The same by one class
#
# `keras_rnn.EncoderDecoder` has this wiring, the numbers and the loop inside. With our
# weights it must write the same.

# %%
how = {"embedding_units": 32, "max_length": 11, "unknown": "?"}
same = keras_rnn.EncoderDecoder(reads, writes, keras_rnn.GRUCell(units), **how)
theirs = same.source_embedding, same.target_embedding, same.encoder[0], same.decoder[0]
ours = read_vectors, write_vectors, encoder, decoder
for their, our in zip((*theirs, same.logits), (*ours, logits)):
    their.set_weights(our.get_weights())
alike = np.mean([a == b for a, b in zip(same.translate(asked), greedy(asked, 11))])
print(f"the same texts: {alike:.1%}")

# %% [markdown]
# ## What is hard about it?
#
# Look at the table of the training again: after a whole pass over the dates few are right.
# All that was read has to pass through one vector, $h_S$, and to get there, what was read
# first has to come through every later step; so has its gradient. For ten characters a
# vector of `units` numbers is enough in the end. For longer texts it is a *bottleneck*.
#
# ## Attention: looking back at every state
#
# Now the decoder may look back at all $h_s$. It compares its state with each of them,
# and the better they fit, the larger is the *attention weight* $\alpha_{ts}$:
#
# $$\alpha_{ts} = \underset{s}{\mathrm{softmax}}\,(d_t W_q \cdot h_s W_k) \qquad
# \mathrm{context}_t = \sum_s \alpha_{ts} h_s$$
# $$y_t \sim \mathrm{softmax}(\tanh([d_t, \mathrm{context}_t] W_a + b_a)\, W_{dy} + b_y)$$
#
# The attention weights of one step $t$ sum up to 1: the context is a mean of the
# states, in which a few count most. $W_q$, $W_k$ and $W_a$ are learned with the rest.

# %%
how |= {"attention": "dot"}
looking = keras_rnn.EncoderDecoder(reads, writes, keras_rnn.GRUCell(units), **how)
learn(looking, *looking.encode(sources, targets), epochs)
attended = np.array(looking.translate(asked)) == wanted
print(f"exact match on days never seen: {attended.mean():.3f}")

# %% [markdown]
# Compare the two tables, pass by pass: with attention the network learns much sooner.
# And where does it look? Each row of the picture is a character that is written (· is a
# space). Nobody told the network which characters belong together.

# %%
examples = []
for text in ("12 septembre 2018", "2018. szeptember 12."):
    told = looking.translate(text)
    examples.append((list(text), list(told), looking.alignment(text, told)))
figure = drawings_of_translation.draw_alignments(examples)
lesson.show(figure, "attention_to_dates.png")

# %% [markdown]
# The attention moves to where the year, the month and the day stand, in whatever order.
# It need not be the very character that is copied: $h_s$ knows what was read before
# $s$, so that one state may serve for several digits. And Italian, which it never saw?
# Its months resemble Spanish ones.

# %%
italian = dates.compose(len(test), test_days, ["it"], random, only_in_words=True)
days, true, _ = zip(*italian)
told = looking.translate(days)
unseen = np.mean([a == b for a, b in zip(told, true)])
print(f"exact match on Italian: {unseen:.3f}")
for a, b, c in zip(days[:5], told, true):
    print(f"{a:34} {b}   {'right' if b == c else c}")

# %% [markdown]
# ## English to French, in pieces of words
#
# Now translation proper: phrases that say where and when, with names that the package
# Babel has in both languages. (Real sentences are better. If you have pairs in a file,
# give it as `pairs`; Tatoeba's are at manythings.org/anki.)
#
# Character by character, such a text is long. Whole words would make it short, but a
# word that was never seen could not be written. A middle way is *byte-pair encoding*:
# start with characters, join the two neighbours that stand side by side most often, and
# again, `merges` times. Common words become one piece; rare ones are several.

# %%
found = phrases.read(pairs) if pairs else phrases.compose(pair_count * 5 // 4, random)
training, _, testing = phrases.cut(found, random)
english, french = ([*texts] for texts in zip(*training[:pair_count]))
english_pieces = keras_rnn.learn_pieces(english, merges)
french_pieces = keras_rnn.learn_pieces(french, merges)
for texts, pieces in ((english, english_pieces), (french, french_pieces)):
    print(f"{len(pieces):,} pieces:", "|".join(Pieces(pieces).split(texts[0])))

# %% [markdown]
# The space before a word belongs to its piece, so that nothing is lost. A piece has a
# number, as a character had one; nothing else changes. The encoder now reads from both
# ends (lesson 06). With *dropout* a part of what the cells read is set to 0 in
# training, at random, so that it is harder to learn the pairs by heart.


# %%
def translator(attention):
    """A network that reads English and writes French, trained."""
    keras.utils.set_random_seed(seed)
    how = {"bidirectional": True, "max_length": 60, "unknown": "\ufffd"}
    cell = keras_rnn.GRUCell(units, dropout=0.2)
    network = keras_rnn.EncoderDecoder(
        english_pieces, french_pieces, cell, attention=attention, **how
    )
    learn(network, *network.encode(english, french), pair_epochs)
    return network


english_pieces += ["\ufffd"]  # it stands for characters that were never seen
bottleneck, attending = translator(None), translator("dot")

# %% [markdown]
# There are many good translations of a sentence. *BLEU* counts the words, and the runs
# of two, three and four words, that are in one of the true ones, too. It goes from 0 to
# 100. To leave the English as it is gives a floor: numbers and some names are right.
#
# A *beam* of 4 goes on with the four most probable texts at each step in place of one.
# We also look at the thirds of the phrases, by length: which ones suffer from the
# bottleneck?

# %%
phrase, truths = phrases.references(testing)
ways = {
    "the English itself": phrase,
    "without attention": bottleneck.translate(phrase),
    "with attention": attending.translate(phrase),
    "attention, beam of 4": attending.translate(phrase, beam_width=4),
}
thirds = np.array_split(np.argsort([len(text) for text in phrase]), 3)
table = []
for name, texts in ways.items():
    right = np.array([text in truth for text, *truth in zip(texts, *truths)])
    row = {"how": name, "BLEU": sacrebleu.corpus_bleu(texts, truths).score}
    row |= {"exact match": right.mean()}
    for size, chosen in zip(("short", "middle", "long"), thirds):
        row[f"of {size} ones"] = right[chosen].mean()
    table.append(row)
lesson.table(table)
for english_text, *told in [*zip(*ways.values())][:4]:
    print(f"\n{english_text}\n  {told[-1]}")

# %% [markdown]
# Read the examples, too. With attention the names are mostly right, but how long ago it was
# is often wrong, so that few phrases are right as a whole. That is why the two measures
# differ: BLEU counts whatever fits. It is much higher with attention, while exact match need
# not be. Six passes over 10,000 pairs are not enough for all of it. Where does the network
# look?

# %%
text = phrase[0] if pairs else "Malta and Spain, 3 weeks ago"
told = attending.translate(text)
cuts = Pieces(english_pieces, "\ufffd").split(text), Pieces(french_pieces).split(told)
figure = drawings_of_translation.draw_alignments(
    [(*cuts, attending.alignment(text, told))]
)
lesson.show(figure, "attention_to_words.png")

# %% [markdown]
# For most pieces of the names it looks where they stand. The time is another matter. "ago" is
# read last, and "il y a" has to be written before the number. There the picture is harder to
# read: the encoder reads from both ends, so each $h_s$ knows something of all pieces, and
# the network may look at any of them. Attention says where it looks, not what it finds.
#
# ## Summary
#
# 1. An encoder reads; its last state is the initial state of a decoder, which writes.
# 2. Teacher forcing: in training the decoder reads the true text, moved on by one step.
# 3. In use it reads what it wrote itself, step by step, until it writes the stop.
# 4. One vector between the two is a bottleneck. Attention looks back at every state.
# 5. Pieces of words keep texts short, and leave nothing that cannot be written.
# 6. Test with what was never seen, and say what that means: another day, another
#    language.

# %%
shown = {"without attention": plain, "with attention": attended, "Italian": unseen}
rows = [
    {"task": "dates", "how": name, "exact match": np.mean(right)}
    for name, right in shown.items()
]
rows += [{"task": "phrases", **row} for row in table]
lesson.table(rows)
lesson.record(table=rows, alike=alike)

# %% [markdown]
# ## Exercises
#
# 1. Read each date from its end (`text[::-1]`), without attention. Sutskever, Vinyals
#    and Le found in 2014 that it helped. Does it here, and for which languages?
# 2. Let an Elman cell learn the dates, with attention. How much do gates matter now?
# 3. How far does the loss reach back? Measure the norm of $dL/dh_s$ with
#    `keras_rnn.state_gradients`, without attention and with it, before training.
# 4. Learn the phrases character by character (`merges = 1`) and compare: how many
#    steps, how many seconds, how probable are true translations (`log_probability`)?
# 5. After a wrong character, what does the network write? Give the decoder one wrong
#    digit by hand and let the greedy loop go on.
#
# They are solved in [solutions/11_translation.py](solutions/11_translation.py). A
# program for your own pairs is
# [train_translation.py](../examples/train_translation.py). The next lesson:
# [Forecasting](12_forecasting.py).
