# %% [markdown]
# # Solutions: video
#
# The exercises of [lesson 08](../08_video_classification.py), one after the other.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

from workshop import lesson, moving_digits
from workshop.models import TimeDistributed

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_rnn

# %% tags=["parameters"]
units = 32  # size of the hidden state
digits = 200  # to make clips of for the training; half as many for the test
epochs = 3  # passes over the clips
seed = 1  # of all randomness
quick = False  # a small network and little data, to see that everything works
output = "output/solutions/video_classification"  # folder for the figures

# %%
lesson.begin(globals(), quick={"units": 8, "digits": 40, "epochs": 1})
frames = 5
random = np.random.default_rng(seed)
(images, labels), (new_images, new_labels) = moving_digits.load(
    seed, digits, digits // 2
)
anywhere, new_anywhere = (
    random.integers(0, frames, len(each)) for each in (images, new_images)
)
clips, directions = moving_digits.clips(images, frames, random, meet=anywhere)
new_clips, new_directions = moving_digits.clips(
    new_images, frames, random, meet=new_anywhere
)


def cnn(*end):
    """The CNN of the lesson, with its last layers."""
    look = {"padding": "same", "activation": "relu"}
    return keras.Sequential(
        [layers.Conv2D(8, 5, strides=2, **look), layers.Conv2D(16, 3, **look), *end]
    )


def averages():
    return cnn(layers.GlobalAveragePooling2D())


def keeps_places():
    return cnn(layers.Flatten(), layers.Dense(32, activation="relu"))


def trained(inputs, targets, *parts, epochs=epochs, answers=4):
    """A network trained to tell the direction, or something else."""
    keras.utils.set_random_seed(seed)
    shape = (None, *inputs.shape[2:]) if inputs.ndim == 5 else inputs.shape[1:]
    last = layers.Dense(answers, activation="softmax")
    model = keras.Sequential([keras.Input(shape), *parts, last])
    model.compile(
        keras.optimizers.Adam(0.003, global_clipnorm=1.0),
        "sparse_categorical_crossentropy",
    )
    model.fit(inputs, targets, batch_size=50, epochs=epochs, verbose=0)
    return model


def accuracy(model, inputs, targets):
    """How often the network is right."""
    return float(np.mean(np.argmax(model(inputs), axis=-1) == targets))


# %% [markdown]
# ## 1. Other orders
#
# Backwards, a clip that goes right goes left: the right answer is the opposite one.
# Shuffled, it goes nowhere, and no answer is right; we count how often the old direction
# is said. Every other frame is a clip of three frames with a digit that is twice as fast.

# %%
model = trained(
    clips, directions, TimeDistributed(keeps_places()), keras_rnn.ElmanRNN(units)
)
opposite = np.array([1, 0, 3, 2])[new_directions]  # of right, left, down, up
order = random.permuted(np.tile(np.arange(frames), (len(new_clips), 1)), axis=1)
shuffled = new_clips[np.arange(len(new_clips))[:, None], order]
orders = {
    "as they are": accuracy(model, new_clips, new_directions),
    "backwards": accuracy(model, new_clips[:, ::-1], opposite),
    "shuffled": accuracy(model, shuffled, new_directions),
    "every other frame": accuracy(model, new_clips[:, ::2], new_directions),
}
lesson.table([{"frames": name, "accuracy": value} for name, value in orders.items()])

# %% [markdown]
# ## 2. Which digit is it, at another place?
#
# Where clips that go up end is the upper half, where clips that go down end the lower
# half. The mean over places does not care. The CNN that keeps places has never seen a
# stroke down there.

# %%
all_four, _ = moving_digits.clips(images, frames, random, meet=0)
new_four, _ = moving_digits.clips(new_images, frames, random, meet=0)
up, new_up, new_down = all_four[3::4, -1], new_four[3::4, -1], new_four[2::4, -1]
which_digit = []
for name, look in (("averages", averages), ("keeps places", keeps_places)):
    eyes = trained(up, labels, look(), epochs=20 * epochs, answers=10)
    which_digit.append(
        {
            "CNN": name,
            "new digits, same half": accuracy(eyes, new_up, new_labels),
            "other half": accuracy(eyes, new_down, new_labels),
        }
    )
lesson.table(which_digit)

# %% [markdown]
# ## 3. A smaller state
#
# The state has to keep one of four answers, and where the digit was a frame ago.

# %%
sizes = []
for size in (1, 2, 4, 8):
    small = trained(
        clips, directions, TimeDistributed(keeps_places()), keras_rnn.ElmanRNN(size)
    )
    found = accuracy(small, new_clips, new_directions)
    sizes.append({"units": size, "accuracy": found})
lesson.table(sizes)

# %% [markdown]
# ## 4. Clips of all lengths
#
# Each batch must have one length, so we call `fit` for one length after the other.


# %%
def by_frames(model):
    """The accuracy on clips of one to eight frames."""
    found = []
    for count in range(1, moving_digits.LONGEST + 1):
        made, _ = moving_digits.clips(new_images, count, np.random.default_rng(seed))
        found.append(accuracy(model, made, new_directions))
    return found


lengths = {"trained on 5 frames": by_frames(model)}
for _ in range(epochs):
    for count in random.permutation(np.arange(2, moving_digits.LONGEST + 1)):
        made, _ = moving_digits.clips(images, count, random)
        model.fit(made, directions, batch_size=50, verbose=0)
lengths["and then on 2 to 8"] = by_frames(model)
figure, axes = plt.subplots(figsize=(10, 5))
for (name, found), style in zip(lengths.items(), ("s--", "o-")):
    axes.plot(range(1, len(found) + 1), found, style, label=name)
axes.axhline(1 / 4, color="black", linestyle=":", label="chance")
axes.set(xlabel="frames of the clip", ylabel="accuracy", ylim=(0, 1.03))
axes.legend(loc="lower right")
lesson.show(figure, "lengths.png")
lesson.table(
    [
        {"frames": n, **dict(zip(lengths, pair))}
        for n, pair in enumerate(zip(*lengths.values()), start=1)
    ]
)

# %% [markdown]
# ## 5. In the dark
#
# After five frames the light goes out. Nothing new comes in, and the direction has to be
# kept for three steps.

# %%
dark, _ = moving_digits.clips(images, 8, random)
new_dark, _ = moving_digits.clips(new_images, 8, random)
dark[:, 5:] = new_dark[:, 5:] = 0
in_the_dark = []
for name, layer in (("Elman", keras_rnn.ElmanRNN), ("GRU", keras_rnn.GRU)):
    model = trained(dark, directions, TimeDistributed(keeps_places()), layer(units))
    in_the_dark.append(
        {"layer": name, "accuracy": accuracy(model, new_dark, new_directions)}
    )
lesson.table(in_the_dark)

# %%
lesson.record(
    orders=orders,
    which_digit=which_digit,
    sizes=sizes,
    lengths=lengths,
    in_the_dark=in_the_dark,
)
