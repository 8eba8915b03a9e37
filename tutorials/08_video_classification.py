# %% [markdown]
# # Video: a CNN that looks, a recurrent network that remembers
#
# **In which direction does a digit move, when one frame cannot tell?**
#
# A photograph of a car does not say whether the car drives forwards or backwards. A clip
# of one second does. What the clip has and the photograph lacks is the *order* of frames.
#
# A *convolutional network* (CNN) looks at one frame $x_t$ and makes a vector $v_t$ of what
# it sees. An Elman network reads these vectors, one at each step, and its last state $h_T$
# gives the answer. This is many to one, with pictures as inputs:
#
# $$v_t = \mathrm{CNN}(x_t) \qquad h_t = \tanh(v_t W_{xh} + h_{t-1} W_{hh} + b_h) \qquad
# y = \mathrm{softmax}(h_T W_{hy} + b_y)$$

# %%
from workshop import drawings_of_clips, lesson, moving_digits
from workshop.models import TimeDistributed

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
digits = 500  # to make clips of for the training; half as many for the test
epochs = 3  # passes over the clips
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/video_classification"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 8, "digits": 40, "epochs": 1})
(images, _), (new_images, _) = moving_digits.load(seed, digits, digits // 2)
frames = 5  # of a clip
random = np.random.default_rng(seed)
clips, directions = moving_digits.clips(images, frames, random)
lesson.show(drawings_of_clips.draw_network(clips[0]), "network.png")

# %% [markdown]
# ## The clips
#
# scikit-learn has 1,797 digits that people wrote, of 8 by 8 pixels. We let them move over
# a dark screen of 28 by 28 pixels, two pixels from frame to frame. The digits are divided
# *before* the clips are made: no digit of the test is in a clip of the training.
#
# Is the question a fair one? A digit that goes right could always begin on the left: then
# its place in one frame would give the answer away. So each digit has four clips, one in
# each direction, which meet in the middle: there it is at the same place, chosen at
# random.

# %%
names = list(moving_digits.DIRECTIONS)
new_clips, new_directions = moving_digits.clips(new_images, frames, random)
print("to train on:", clips.shape, " to test with:", new_clips.shape)
lesson.show(drawings_of_clips.draw_clips(clips[:4], names), "clips.png")

# %% [markdown]
# The frames with the orange border are one and the same picture. A network that sees this
# frame alone must say the same for all four clips, and is right for exactly one of them:
# its accuracy is 1/4, *whatever it learns*.
#
# ## One frame
#
# First the CNN. A *convolution* slides small filters over the frame. Each number that
# comes out says how well one filter fits at one place; `strides=2` takes every other
# place. In the end `GlobalAveragePooling2D` takes the mean of each filter over all places:
# 16 numbers are left. Many networks that classify photographs end like this.


# %%
def cnn(*end):
    """A CNN with its last layers."""
    look = {"padding": "same", "activation": "relu"}
    first = layers.Conv2D(8, 5, strides=2, **look)  # 8 filters of 5 by 5 pixels
    return keras.Sequential([first, layers.Conv2D(16, 3, **look), *end])


def trained(inputs, *parts):
    """A network trained to tell the direction."""
    keras.utils.set_random_seed(seed)
    shape = (None, *inputs.shape[2:]) if inputs.ndim == 5 else inputs.shape[1:]
    last = layers.Dense(4, activation="softmax")
    model = keras.Sequential([keras.Input(shape), *parts, last])
    optimizer = keras.optimizers.Adam(0.003, global_clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.fit(inputs, directions, batch_size=50, epochs=epochs, verbose=0)
    return model


def told(model, inputs):
    """The direction that a network says, for each input."""
    return np.argmax(model(inputs), axis=-1)


middle = frames // 2  # counted from 0
one_frame = trained(clips[:, middle], cnn(layers.GlobalAveragePooling2D()))
said = told(one_frame, new_clips[:, middle])
accuracy = {"the frame in the middle": np.mean(said == new_directions)}
print(f"accuracy with one frame: {accuracy['the frame in the middle']:.3f}")

# %% [markdown]
# As we said: 1/4. More data or a larger CNN would change nothing.
#
# ## All frames, and an Elman network
#
# `TimeDistributed` applies the CNN to each frame, always with the same weights: a clip of
# shape (frames, 28, 28, 1) becomes a sequence of vectors, (frames, 16). The Elman layer
# reads that sequence and returns its last state. Now the network sees the order.

# %%
averaging = trained(
    clips,
    TimeDistributed(cnn(layers.GlobalAveragePooling2D())),
    keras_rnn.ElmanRNN(units),
)
name = "Elman, CNN that averages over places"
accuracy[name] = np.mean(told(averaging, new_clips) == new_directions)
print(f"accuracy with all frames: {accuracy[name]:.3f}")

# %% [markdown]
# No better. Is the training too short, or the state too small? Before we try this and
# that, we look at what the recurrent layer has to read: the vectors $v_t$ of one clip. And
# we measure how much they change within a clip, as a share of how much they differ from
# clip to clip. The CNN here is a fresh one: no training has spoilt its weights yet.


# %%
def changes(look):
    """How much v_t changes in a clip, beside the clips' differences; v_t of one clip."""
    seen = np.array(TimeDistributed(look)(new_clips))  # (clips, frames, numbers)
    return seen.std(axis=1).mean() / seen.std(axis=0).mean(), seen[0]


change, seen = {}, {}
name = "averages over places"
change[name], seen[name] = changes(cnn(layers.GlobalAveragePooling2D()))
print(f"v_t changes by {change[name]:.1%} within a clip")

# %% [markdown]
# Nothing changes. The filters find the same strokes in each frame, at other places, and
# the mean over all places forgets *where*. For "which digit is it?" that is just right: a
# 3 is a 3 wherever it stands. For our question nothing is left, and no recurrent network,
# however large, can find in a sequence what is not there.
#
# ## One thing mended: the CNN keeps the place
#
# `Flatten` keeps all the numbers side by side, each place with its own. That is
# $14 \cdot 14 \cdot 16 = 3136$ numbers; a `Dense` layer brings them down to `units`.


# %%
def cnn_with_places():
    return cnn(layers.Flatten(), layers.Dense(units, activation="relu"))


name = "keeps places"
change[name], seen[name] = changes(cnn_with_places())
print(f"v_t changes by {change[name]:.1%} within a clip")
panels = {f"a CNN that {name}": vectors for name, vectors in seen.items()}
lesson.show(drawings_of_clips.draw_vectors(panels), "vectors.png")

# %% [markdown]
# On the left each row has one colour: the same number in all frames. On the right the
# rows change, and an Elman layer can read from them where the digit goes. Does it?

# %%
elman = trained(clips, TimeDistributed(cnn_with_places()), keras_rnn.ElmanRNN(units))
name = "Elman, CNN that keeps places"
accuracy[name] = np.mean(told(elman, new_clips) == new_directions)
print(f"accuracy with all frames: {accuracy[name]:.3f}")

# %% [markdown]
# ## Is it the order?
#
# Now the CNN is another one, too. So we give it to a network that sees all frames, but not
# their order: `GlobalAveragePooling1D` takes the mean of the $v_t$ in the place of the
# recurrent layer. A clip that goes left is a clip that goes right, played backwards. Their
# means are equal, so this network can be right for one of the two at most: its accuracy
# is at most 1/2.

# %%
no_order = trained(
    clips, TimeDistributed(cnn_with_places()), layers.GlobalAveragePooling1D()
)
said = told(no_order, new_clips)
accuracy["mean over frames"] = np.mean(said == new_directions)
print(f"accuracy: {accuracy['mean over frames']:.3f}")
counts = np.zeros((4, 4), int)
np.add.at(counts, (new_directions, said), 1)
lesson.table([{"it goes": a, **dict(zip(names, row))} for a, row in zip(names, counts)])

# %% [markdown]
# The table counts the test clips: a row for where the digit goes, a column for what the
# network says. The network knows the line of the motion, and guesses which way.
#
# ## Right for the wrong reason?
#
# So order is needed, and the Elman network sees motion. Does it? A perfect result calls
# for a second look. The four clips of a digit meet in the *middle*, but they end at
# different places: what goes right ends on the right. How far does a network get with the
# *last* frame alone?

# %%
last_frame = trained(clips[:, -1], cnn_with_places())
name = "the last frame alone"
accuracy[name] = np.mean(told(last_frame, new_clips[:, -1]) == new_directions)
print(f"accuracy with the last frame: {accuracy[name]:.3f}")

# %% [markdown]
# It is nearly always right. The clips are not as fair as we thought: where the digit is in
# the end gives its direction away. Is that what the Elman network has learned? We test it
# with clips that meet in the last frame, and with clips that meet in the first one.


# %%
def by_meeting(model):
    """The accuracy on test clips that meet in the first, middle or last frame."""
    found = {}
    for name, meet in (("first", 0), ("middle", middle), ("last", frames - 1)):
        made = moving_digits.clips(new_images, frames, random, meet=meet)
        found[f"meet in the {name}"] = np.mean(told(model, made[0]) == made[1])
    return found


meeting = [{"network": "Elman", **by_meeting(elman)}]
lesson.table(meeting)

# %% [markdown]
# Where the end gives nothing away, it is right for little more than half of the clips.
#
# ## One thing mended: the clips
#
# The network stays as it is. In the new clips the four of a digit meet in *any* of the five
# frames, chosen at random, so that the place in no single frame can be relied on. What is
# right for all of them is the difference between frames.

# %%
anywhere = random.integers(0, frames, digits)  # a frame for each digit
fair, _ = moving_digits.clips(images, frames, random, meet=anywhere)
motion = trained(fair, TimeDistributed(cnn_with_places()), keras_rnn.ElmanRNN(units))
meeting.append({"network": "Elman, fair clips", **by_meeting(motion)})
lesson.table(meeting)
accuracy["Elman, trained on fair clips"] = meeting[-1]["meet in the middle"]

# %% [markdown]
# Now the network is right in all three tests. Its layers are the same as before, and it
# has as many weights. What it had lacked was a reason to look at the whole clip.
#
# ## Clips of other lengths
#
# A recurrent network reads clips of any length. Ours were trained on five frames. We ask
# them for the direction in clips of one to eight.


# %%
def by_frames(model):
    """The accuracy on clips of one to eight frames."""
    found = []
    for length in range(1, moving_digits.LONGEST + 1):
        made = moving_digits.clips(new_images, length, np.random.default_rng(seed))
        found.append(np.mean(told(model, made[0]) == made[1]))
    return found


lengths = {"Elman": by_frames(elman), "Elman, fair clips": by_frames(motion)}
rows = enumerate(zip(*lengths.values()), start=1)
lesson.table([{"frames": n, **dict(zip(lengths, row))} for n, row in rows])

# %% [markdown]
# With one frame, 1/4 is the most that there can be. But two frames are a motion, and both
# networks are far from right there. All that they know is to answer after five frames;
# nobody ever asked them earlier.
#
# An Elman layer writes its whole state anew at each step. A GRU (lesson 05) can keep parts
# of it. It learns from the same clips of five frames.

# %%
gru = trained(fair, TimeDistributed(cnn_with_places()), keras_rnn.GRU(units))
lengths["GRU, fair clips"] = by_frames(gru)
meeting.append({"network": "GRU, fair clips", **by_meeting(gru)})
accuracy["GRU, trained on fair clips"] = meeting[-1]["meet in the middle"]
figure, axes = plt.subplots(figsize=(12, 5))
for (name, found), style in zip(lengths.items(), ("s--", "o-", "^-")):
    axes.plot(range(1, len(found) + 1), found, style, label=name)
axes.axhline(1 / 4, color="black", linestyle=":", label="chance")
axes.axvline(frames, color="0.7", zorder=0)
axes.text(frames + 0.1, 0.4, "as in the training")
axes.set(xlabel="frames of the clip", ylabel="accuracy", ylim=(0, 1.03))
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
lesson.show(figure, "by_frames.png")

# %% [markdown]
# The GRU is right for most clips of two frames and for all of eight, which it has never
# been trained on. Exercise 4 asks what becomes of an Elman network that is trained on them.
#
# ## The state on its way
#
# What does $h_t$ keep? A second layer around the same cell returns the states of *all*
# steps. A state has 32 numbers. We draw it in the plane in which the states differ most
# (its axes are the two *principal components*): thin lines for single clips, thick ones
# for their mean.

# %%
cell = motion.layers[1].cell
states = keras_rnn.RNN(cell, return_sequences=True)(motion.layers[0](new_clips))
start = np.tile(cell.initial_state, (len(new_clips), 1, 1))
states = np.concatenate([start, states], axis=1)  # h_0, h_1, ...
figure = drawings_of_clips.draw_paths(states, new_directions, names)
lesson.show(figure, "paths.png")

# %% [markdown]
# All clips start from the same learned $h_0$. In the end the states of the four directions
# lie apart, each in a region of its own, and the `Dense` layer reads the answer there.
#
# ## Summary
#
# 1. Video is a CNN on each frame and a recurrent layer over what it sees.
# 2. Ask what a network *could* know. Two of our networks could not be right more often
#    than 1/4 and 1/2 of the time, and we knew it before the training.
# 3. A recurrent layer finds nothing in a sequence that the CNN has thrown away. Look at
#    what it reads before you make it larger.
# 4. A perfect result may have a poor reason. Change what should not matter, and see.
# 5. A network takes a shortcut if there is one. Fair data make it learn the motion.

# %%
lesson.table([{"network": n, "accuracy": value} for n, value in accuracy.items()])
lesson.record(accuracy=accuracy, change=change, by_meeting=meeting, by_frames=lengths)

# %% [markdown]
# ## Exercises
#
# 1. Show the network that was trained on fair clips the test clips backwards, with shuffled
#    frames, and with every other frame left out. What should it say, and what does it say?
# 2. Ask which digit it is. Train each of the two CNNs on digits in the upper half of the
#    screen, and test it in the lower half. Which one is better now, and why?
# 3. How small may the hidden state be? Train with 1, 2, 4 and 8 units on fair clips.
# 4. Train on clips of all lengths from 2 to 8. What becomes of the accuracy on two frames?
# 5. Make the last three of eight frames black, in training and test. Does an Elman network
#    keep the direction in the dark? Does a GRU?
#
# They are solved in [solutions/08_video_classification.py](solutions/08_video_classification.py).
# The next lesson reads sentences, and says something at each word:
# [Named entities](09_named_entities.py).
