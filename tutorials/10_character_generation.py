# %% [markdown]
# # Characters: a network that writes
#
# **Can a network that only ever guesses the next character learn to write?**
#
# It reads one character at a time, and says how likely each one is to be the next. To
# write, one is *sampled* ($\sim$): chosen at random with these probabilities. It comes
# back as the next input, and so on. One thing goes in, the kind of text; many come out.
#
# $$h_t = \tanh(x_t W_{xh} + h_{t-1} W_{hh} + b_h) \qquad
# y_t = \mathrm{softmax}(h_t W_{hy} + b_y) \qquad x_{t+1} \sim y_t$$

# %%
from workshop import corpora, drawings_of_writing, lesson
from workshop.n_grams import n_gram

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 256  # size of the hidden state
characters = 600_000  # how many to learn from
window = 64  # characters that the gradient flows back over
epochs = 2  # passes over the text
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/characters"  # folder for the figures

# %%
lesson.begin(
    globals(), quick={"units": 32, "characters": 12_000, "window": 20, "epochs": 1}
)
figure = drawings_of_writing.draw_writer("Great!", "positive")
lesson.show(figure, "writer.png")

# %% [markdown]
# ## The texts
#
# They are the last sentences of film reviews, where people say what to think of the
# film. Each one starts and ends with a line break. The test reviews are of other films.

# %%
corpus = corpora.reviews(seed)
corpus = corpus.part(train=characters, validation=1, test=characters // 6)
text, held_out = ("".join(corpus.texts[part]) for part in ("train", "test"))
alphabet = "".join(sorted({*text, *held_out}))
print(f"{len(text):,} characters to learn from, {len(alphabet)} different ones")
for review, label in list(zip(corpus.texts["train"], corpus.labels["train"]))[:4]:
    print(f"{corpus.kinds[label]}: {review.strip()}")

# %% [markdown]
# ## How surprised?
#
# A network that gives the next character the probability $p$ has the loss $-\ln p$: it
# is small if the character was expected, large if it was a surprise. The mean over a
# text is in *nats per character* (nats, since the logarithm is natural). A network that
# gives each of $V$ characters the same probability has the loss $\ln V$.
#
# Two more yardsticks count. A *1-gram* knows how common each character is. A *5-gram*
# looks up the last four characters in the training text: what came next there, how
# often? (What it never saw gets a small part of the probability.)

# %%
places = {character: i for i, character in enumerate(alphabet)}
tokens, test_tokens = (np.array([places[c] for c in t]) for t in (text, held_out))
nats = {"every character alike": np.log(len(alphabet))}
for order in (1, 3, 5):
    surprise = n_gram([tokens], [test_tokens], order, len(alphabet))
    nats[f"{order}-gram"] = surprise.mean()
lesson.table([{"model": name, "nats per character": n} for name, n in nats.items()])

# %% [markdown]
# ## The simplest network
#
# The text is cut into windows. Each one is an example: the input is the window, the
# target is the same moved on by one character. Nothing is sampled in training: the
# network reads what people wrote, not what it would have written. This is called
# *teacher forcing*. (`global_clipnorm` clips the gradient: lesson 04. A target of -1,
# which stands for no character, would not count.)

# %%
x, y = keras_rnn.windows(tokens, window)
test_x, test_y = keras_rnn.windows(test_tokens, window)
print("x:", repr("".join(alphabet[i] for i in x[0, :40])))
print("y:", repr("".join(alphabet[i] for i in y[0, :40])))

embedding = layers.Embedding(len(alphabet), 64)  # a vector for each character
recurrent = keras_rnn.ElmanRNN(units, return_sequences=True)
logits = layers.Dense(len(alphabet))  # y_t before the softmax
network = keras.Sequential([embedding, recurrent, logits])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
network.compile(keras.optimizers.Adam(2e-3, global_clipnorm=1.0), loss)
network.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
nats["Elman, each window by itself"] = network.evaluate(test_x, test_y, verbose=0)
print(f"nats per character: {nats['Elman, each window by itself']:.3f}")

# %% [markdown]
# ## Writing
#
# Now step by step. The cell takes one character and the state, and returns the output
# and the next state. We sample from the output, and read what we wrote. Before that,
# the logits are divided by the *temperature*.


# %%
def probabilities(scores, temperature):
    """The softmax of logits that are divided by the temperature."""
    scores = (scores - scores.max()) / max(temperature, 1e-3)
    return np.exp(scores) / np.exp(scores).sum()


def write(prompt, length, temperature, random):
    """What the network writes after the prompt."""
    state = recurrent.cell.get_initial_state(batch_size=1)
    written = prompt
    for t in range(len(prompt) + length):
        x_t = embedding(np.array([places[written[t]]]))
        h_t, state = recurrent.cell(x_t, state)
        if t + 1 == len(written):
            y_t = probabilities(np.array(logits(h_t))[0], temperature)
            written += alphabet[random.choice(len(y_t), p=y_t)]
    return written.split("\n")[1]  # to the end of the review


for temperature in (0.0, 0.5, 1.0, 1.5):
    told = write("\nThis ", 150, temperature, np.random.default_rng(seed))
    print(f"temperature {temperature}: {told}\n")

# %% [markdown]
# At 0 it always takes the likeliest character, and soon repeats itself. At 1 the
# probabilities are those that it learned. In between the text has fewer slips and less
# variety; above 1 rare characters become common, and words fall apart. The picture
# shows the next character after "The mo".

# %%
scores = np.array(network(np.array([[places[c] for c in "\nThe mo"]])))[0, -1]
chances = {heat: probabilities(scores, heat) for heat in (0.5, 1.0, 1.5)}
figure = drawings_of_writing.draw_chances(chances, alphabet)
lesson.show(figure, "temperature.png")

# %% [markdown]
# ## What goes wrong: it forgets at each border
#
# Each window starts from $h_0$, as if nothing had been written before. The network
# never sees what a long sentence needs. We measure the loss by the place in the window.

# %%
by_place = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
surprise = np.array(by_place(test_y, network.predict(test_x, verbose=0)))
places_lost = surprise.mean(axis=0)  # the mean over the windows: (window,)
figure, axes = plt.subplots(figsize=(10, 4))
axes.plot(np.arange(1, window + 1), places_lost, ".-")
axes.set(xlabel="place in the window", ylabel="nats per character", ylim=(0, None))
lesson.show(figure, "by_place.png")

# %% [markdown]
# The first characters of a window are guessed nearly blind. Could the gradient run
# through the whole text? All states would have to be kept. The way out is *truncated*
# back-propagation through time (lesson 03): the windows are read in order, and each one
# starts from the **state** in which the one before ended. Only the **gradient** is cut
# at the border.
#
# `ConsecutiveWindows` keeps the order, and `Generator` is our three layers with a state
# that is carried. Nothing else changes.


# %%
def trained(cell, rate, texts, **arguments):
    """A generator that has read texts in order, and its loss on the test texts."""
    keras.utils.set_random_seed(seed)
    generator = keras_rnn.Generator(alphabet, cell, **arguments)
    generator.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), loss)
    parts = []
    for part in ("train", "test"):
        labels = corpus.labels[part] if "conditions" in arguments else None
        numbers = [generator.encode(each) for each in texts[part]]
        numbers = numbers if labels is not None else np.concatenate(numbers)
        parts.append(
            keras_rnn.ConsecutiveWindows(numbers, 32, window, labels, seed=seed)
        )
    generator.fit(parts[0], epochs=epochs, shuffle=False, verbose=0)
    return generator, generator.evaluate(parts[1], verbose=0)


cell = keras_rnn.ElmanCell(units)
_, nats["Elman, state carried"] = trained(cell, 2e-3, corpus.texts)
generator, nats["GRU, state carried"] = trained(
    keras_rnn.GRUCell(units), 4e-3, corpus.texts
)
lesson.table([{"model": name, "nats per character": n} for name, n in nats.items()])

# %% [markdown]
# Compare: what does the carried state bring, and what a cell with gates, which can keep
# what it has read (lesson 05)? The 5-gram is a hard yardstick, and none of these small
# networks is better. It has all of the training text at hand, and looks up what it needs;
# the network has only its weights, but a memory that does not end after four characters.
# Does a larger one that reads all reviews get ahead? The program
# [train_characters.py](../examples/train_characters.py) prints both.
#
# ## One to many: the kind sets the initial state
#
# So far the network wrote whatever came. Now one thing goes in: "positive" or
# "negative". It sets $h_0$. In place of one learned vector there is one for each kind,
# trained by back-propagation with the rest. The kind is told nowhere else: if it is to
# matter at the end of a review, the network has to carry it there.

# %%
cell = keras_rnn.GRUCell(
    units, initial_state_initializer=keras.initializers.RandomNormal(stddev=0.5)
)
how = {"conditions": list(corpus.kinds), "start": "\n"}
writer, nats["GRU, kind given"] = trained(cell, 4e-3, corpus.texts, **how)
for kind in corpus.kinds:
    told = writer.generate(["", ""], 200, 0.6, stop="\n", seed=seed, condition=kind)
    print(f"{kind}:", *told, sep="\n  ")
print(f"nats per character: {nats['GRU, kind given']:.3f}")

# %% [markdown]
# What is the one input worth? The network can say how likely a text is *if* it is of a
# kind: add up $\ln p$ over its characters. So we let it guess the kind of test reviews,
# the one that makes the text likelier. If it were right in half of them only, the kind
# would mean nothing to it.


# %%
def log_likelihood(text, kind):
    """The sum of ln p over the characters of a text, if it is of this kind."""
    # After the start. All texts get the same length, so that one graph is enough.
    chances, _ = writer.read(text[1:].ljust(200), kind)  # (200, alphabet)
    return np.log([chances[i, places[c]] for i, c in enumerate(text[1:])]).sum()


right = []
for review, label in list(zip(corpus.texts["test"], corpus.labels["test"]))[:200]:
    found = [log_likelihood(review, kind) for kind in corpus.kinds]
    right.append(int(np.argmax(found)) == label)
recognised = np.mean(right)
print(f"kinds that it finds out: {recognised:.0%} of {len(right)}")

# %% [markdown]
# That is not far from one half. To guess a character, spelling counts much more than the
# kind, so spelling is learned first; and what $h_0$ says has to come through all characters
# of the review. Does a larger network, trained for longer, make more of the kind?
# [train_characters.py](../examples/train_characters.py) measures the same share.
#
# ## Summary
#
# 1. One to many: one input sets the initial state, the output is fed back in.
# 2. In training the network reads known texts; to write, it samples from $y_t$.
# 3. The loss is in nats per character; n-grams say whether it is good.
# 4. Temperature trades variety for fewer slips.
# 5. Windows in order: carry the state, cut the gradient.
# 6. A network that writes also judges: it says how likely a text is.

# %%
lesson.table([{"model": name, "nats per character": n} for name, n in nats.items()])
lesson.record(nats=nats, by_place=places_lost, recognised=recognised)

# %% [markdown]
# ## Exercises
#
# 1. Sample only from the characters that make up the likeliest 90 % (`top_p=0.9`) at
#    temperature 1. Compare the share of written words that are in the training text.
# 2. Windows of 10 characters, with the state carried and without: what does each cost?
# 3. Which units count? Correlate each unit of $h_t$ with "a quote is open" and with the
#    number of characters since the last space, on texts that you did not search on.
# 4. Write eight reviews of a kind, and keep the one that is most of its kind, by
#    `log_likelihood`. Do you see a difference?
# 5. How much text does it need? Learn from a quarter of it, with four times the epochs.
#    Compare the loss on the training text and on the test text.
#
# They are solved in
# [solutions/10_character_generation.py](solutions/10_character_generation.py). A
# program for your own texts, for plays and for tunes, is
# [train_characters.py](../examples/train_characters.py). The next lesson:
# [Translation](11_translation.py).
