# %% [markdown]
# # Many to one: in which direction does it move?
#
# A photograph of a car does not tell whether it drives or backs up. A film of one second
# does. What a film has and a photograph lacks is not in any of its frames. It is in their
# *order*.
#
# The films here are small: a handwritten digit glides over a black screen. Two questions
# are asked of each:
#
# - *Which digit is it?* One frame is enough to see that.
# - *Right, left, down or up?* One frame cannot tell.
#
# A convolutional network (CNN) sees well. It sees one frame at a time and forgets it. A
# recurrent network on top of it remembers:
#
#                                    y           digit and direction
#                                    |
#     h_0 -> h_1 -> h_2 -> ... -> h_T            the memory
#             |      |             |
#            v_1    v_2    ...    v_T            what the CNN sees in each frame
#             |      |             |
#            x_1    x_2    ...    x_T            the frames
#
#     v_t = CNN(x_t)
#     h_t = tanh(v_t W_xh + h_{t-1} W_hh + b_h)
#     y   = softmax(h_T W_hy + b_y)
#
# Three networks are trained, with the same CNN in each: one that sees a single frame, one
# that sees all frames but not their order, and the recurrent one.
#
# The script downloads nothing. It takes two minutes or so on two CPU cores:
#
#     python tutorials/08_video_classification.py

# %%
import re
from pathlib import Path

# Before Keras: it keeps TensorFlow's own lines off the screen.
from workshop import command_line, errors, files, models, plots, runs

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops
from PIL import Image
from sklearn.datasets import load_digits

import keras_rnn

# %% [markdown]
# ## The choices

# %%
CELLS = {"elman": keras_rnn.ElmanRNN, "lstm": keras_rnn.LSTM, "gru": keras_rnn.GRU}
QUICK = {"units": 16, "epochs": 2}


def read_options(argv):
    """The options of the command line."""
    parser = command_line.Options(
        "Tells in which direction a digit moves, and which digit it is.",
        Path("output/video_classification"),
    )
    parser.add_argument("--cell", choices=CELLS, default="elman", help="what remembers")
    parser.count("--units", 64, "size of the memory")
    parser.count("--epochs", 16, "passes over the digits")
    parser.count("--batch-size", 64, "films per step")
    return parser.parse(argv, QUICK)


# %% [markdown]
# ## The films
#
# scikit-learn carries 1,797 digits that people wrote, 8 by 8 pixels each. They are dealt
# out *before* any film is made: the digits of the test films are in no training film.
#
# The screen has 24 by 24 pixels, and a digit glides two pixels per frame. One detail
# decides whether the question is a fair one. A digit that goes right starts on the left
# and ends on the right: where it stands could give away where it goes. So a film is made
# from its *middle*: there the digit is at a random place, drawn in the same way for all
# directions. It comes from one side of that place and goes to the other. A photograph
# taken in the middle of the film *tells nothing about the direction*: the best guess is
# right once in four times.

# %%
SIDE = 24  # of the screen, in pixels
FRAMES = 6  # of a film, at most, in training
LONGEST = 8  # that fits on the screen
SPEED = 2  # pixels per frame
DIRECTIONS = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}
OPPOSITE = np.array([1, 0, 3, 2])  # right - left, down - up


def load_heaps(seed, quick):
    """Digits to train on, to validate and to test: (images, labels) for each."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images = (digits.images / 16).astype("float32")  # (digits, 8, 8), from 0 to 1
    order = order[: 300 if quick else None]
    cuts = [len(order) * 6 // 10, len(order) * 7 // 10]
    return [(images[heap], digits.target[heap]) for heap in np.split(order, cuts)]


def make_films(images, middles, directions, frames):
    """Films of gliding digits.

    Args:
        images: Array of shape (films, 8, 8).
        middles: Array of shape (films, 2): row and column of the digit's upper left
            corner in the middle of the film.
        directions: Array of shape (films,), numbers of `DIRECTIONS`.
        frames: Integer.

    Returns:
        Array of shape (films, frames, 24, 24, 1).
    """
    size = images.shape[1]
    velocity = SPEED * np.array(list(DIRECTIONS.values()))[directions]  # (films, 2)
    time = np.arange(frames)[:, None] - (frames - 1) / 2  # 0 in the middle
    corners = (middles[:, None] + time * velocity[:, None]).astype(int)
    pixels = corners[..., None] + np.arange(size)  # (films, frames, 2, size)
    films = np.zeros((len(images), frames, SIDE, SIDE, 1), "float32")
    film = np.arange(len(images))[:, None, None, None]
    frame = np.arange(frames)[None, :, None, None]
    rows, columns = pixels[:, :, 0, :, None], pixels[:, :, 1, None, :]
    films[film, frame, rows, columns, 0] = images[:, None]
    return films


def draw_films(images, which, directions, random, frames, longest=FRAMES):
    """Films of some digits, each with a random middle.

    The middles are such that a film of `longest` frames stays on the screen.
    """
    reach = SPEED * (longest - 1) // 2
    last = SIDE - images.shape[1] - reach
    middles = random.integers(reach, last, (len(which), 2), endpoint=True)
    return make_films(images[which], middles, directions, frames)


def every_way(images, labels, random, frames, longest=FRAMES):
    """A film of each digit in each direction. Returns the films and what is asked."""
    which = np.repeat(np.arange(len(images)), len(DIRECTIONS))
    directions = np.tile(np.arange(len(DIRECTIONS)), len(images))
    films = draw_films(images, which, directions, random, frames, longest)
    return films, {"direction": directions, "digit": labels[which]}


# %% [markdown]
# The films to train on are made anew for each epoch, with other middles. Their length
# changes from batch to batch, from one frame to six, because a recurrent network takes
# films of any length. The draw depends on the seed and the number of the epoch alone, so
# that a run that was interrupted goes on as it would have.


# %%
class Films(keras.utils.PyDataset):
    """Batches of films of one to `longest` frames, new ones in each epoch."""

    def __init__(self, images, labels, batch_size, seed, longest):
        super().__init__()
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.seed, self.longest = seed, longest
        self.epoch = 0

    def __len__(self):
        return -(-len(self.images) * len(DIRECTIONS) // self.batch_size)

    def __getitem__(self, index):
        random = np.random.default_rng((self.seed, self.epoch))
        order = random.permutation(len(self.images) * len(DIRECTIONS))
        which, directions = np.divmod(order, len(DIRECTIONS))
        heap = slice(index * self.batch_size, (index + 1) * self.batch_size)
        which, directions = which[heap], directions[heap]
        random = np.random.default_rng((self.seed, self.epoch, index))
        frames = 1 + (index + self.epoch) % self.longest
        films = draw_films(self.images, which, directions, random, frames)
        return films, {"direction": directions, "digit": self.labels[which]}

    def on_epoch_end(self):
        self.epoch += 1


# %% [markdown]
# ## The networks
#
# The CNN is an ordinary one: two convolutions that halve the picture, and a dense layer.
# `TimeDistributed` applies it to each frame by itself, with the same weights. It turns
# a film of shape (batch, T, 24, 24, 1) into a sequence of vectors (batch, T, 64).
#
# What follows is the only difference between the networks:
#
# | network | sees | keeps |
# |---|---|---|
# | one frame | a film of one frame | that frame |
# | all frames, no order | the film | the mean of the v_t |
# | recurrent | the film | h_T |
#
# How far can the second one get? A mean is the same whichever way a film runs. A digit
# that goes left is a digit that goes right, played backwards, and both are as likely. So
# the mean can at best tell "right or left" from "down or up": one half of the answers is
# right, and no training can make it more.

# %%
SEES = {"one frame": 1, "all frames, no order": FRAMES, "recurrent": FRAMES}


def build(name, options, steps):
    """One of the three networks, compiled for a training of so many steps."""
    film = keras.Input((None, SIDE, SIDE, 1), name="film")
    seen = models.TimeDistributed(build_sight())(film)  # (batch, T, 64)
    if name == "recurrent":
        kept = CELLS[options.cell](options.units)(seen)  # (batch, units)
    else:
        kept = layers.GlobalAveragePooling1D()(seen)  # (batch, 64)
    answers = {
        "direction": layers.Dense(4, activation="softmax", name="direction")(kept),
        "digit": layers.Dense(10, activation="softmax", name="digit")(kept),
    }
    network = keras.Model(film, answers)
    network.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(3e-3, steps), clipnorm=1.0
        ),
        dict.fromkeys(answers, "sparse_categorical_crossentropy"),
        metrics=dict.fromkeys(answers, "accuracy"),
    )
    return network


def build_sight():
    """The CNN: one frame (batch, 24, 24, 1) to what is seen in it (batch, 64)."""
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
        ],
        name="sight",
    )


# %% [markdown]
# ## Training
#
# All three learn by the same rules, both questions at once: the loss is the sum of two
# cross-entropies. In the end each network gets the weights of the epoch with the least
# validation loss. The state is saved after each epoch, so that `--resume` can go on.


# %%
def train(run, name, options, heaps):
    """Trains one network. Returns it with its best weights, and its figures."""
    (images, labels), validation, _ = heaps
    batches = Films(images, labels, options.batch_size, options.seed, SEES[name])
    random = np.random.default_rng((options.seed, 1))
    validation = every_way(*validation, random, SEES[name])

    def new():
        keras.utils.set_random_seed(options.seed)
        return build(name, options, len(batches) * options.epochs)

    folder = re.sub(r"\W+", "-", name)
    return run.train(folder, new, batches, validation, options.epochs)


# %% [markdown]
# ## The result
#
# The test films show digits that no network has seen, each in all four directions. A
# network that saw a single frame in training gets the photograph from the middle.


# %%
def ask(network, films, batch_size=256):
    """The probabilities of the answers: for each question, (films, answers)."""
    parts = [
        network(films[i : i + batch_size]) for i in range(0, len(films), batch_size)
    ]
    return {
        question: np.concatenate([ops.convert_to_numpy(p[question]) for p in parts])
        for question in ("direction", "digit")
    }


def share_right(network, films, asked):
    """The accuracy of the answers to each question."""
    said = ask(network, films)
    return {
        question: float(np.mean(np.argmax(said[question], axis=1) == answers))
        for question, answers in asked.items()
    }


def evaluate(networks, images, labels, random):
    """The accuracies of each network on the test films."""
    return {
        name: share_right(network, *every_way(images, labels, random, SEES[name]))
        for name, network in networks.items()
    }


def tell_result(accuracy):
    """Prints the table of accuracies."""
    print("\nAccuracy on the test films    direction    digit")
    for name, row in accuracy.items():
        print(f"  {name:27} {row['direction']:9.3f} {row['digit']:8.3f}")
    print(f"  {'chance':27} {1 / 4:9.3f} {1 / 10:8.3f}")


# %% [markdown]
# ## Looking inside: the same frames in another order
#
# The proof that the recurrent network answers by the order: show it the same frames in
# another one. Played backwards, a film that goes right goes left, and the network should
# say so. With its frames shuffled a film goes nowhere. To the network without order all
# three are the same film.


# %%
def turn_around(networks, films, asked, random):
    """The accuracy of the direction, of films backwards and with shuffled frames."""
    order = random.permuted(np.tile(np.arange(films.shape[1]), (len(films), 1)), axis=1)
    right = asked["direction"]
    ways = {
        "as they are": (films, right),
        "backwards": (films[:, ::-1], OPPOSITE[right]),
        "shuffled": (films[np.arange(len(films))[:, None], order], right),
    }
    return {
        name: {
            way: share_right(networks[name], shown, {"direction": answers})["direction"]
            for way, (shown, answers) in ways.items()
        }
        for name in ("all frames, no order", "recurrent")
    }


def tell_ways(ways):
    """Prints the table of the directions in other orders."""
    print("\nDirection, with the frames      as they are   backwards    shuffled")
    for name, row in ways.items():
        print(f"  {name:29}", *(f"{share:11.3f}" for share in row.values()))
    print("(backwards, the right answer is the opposite direction)")


# %% [markdown]
# ## Looking inside: how many frames does it take?
#
# One frame is a photograph. Two are a motion. The films go on to eight frames, two more
# than in any film of the training: a network that learned what motion is, and not films
# of six frames, stays right.


# %%
def by_frames(networks, images, labels, random):
    """For each network the accuracies on test films of 1, 2, ..., 8 frames."""
    courses = {name: [] for name in ("all frames, no order", "recurrent")}
    for n in range(1, LONGEST + 1):
        films, asked = every_way(images, labels, random, n, max(n, FRAMES))
        for name, course in courses.items():
            course.append({"frames": n, **share_right(networks[name], films, asked)})
    return courses


def draw_by_frames(courses, accuracy):
    """A picture of the accuracies against the number of frames."""
    figure, both = plt.subplots(1, 2, figsize=(14, 5.5), sharey=True)
    looks = {"recurrent": "o-", "all frames, no order": "s--"}
    for axes, question, chance in zip(both, ("direction", "digit"), (1 / 4, 1 / 10)):
        for name, look in looks.items():
            frames = [row["frames"] for row in courses[name]]
            right = [row[question] for row in courses[name]]
            axes.plot(frames, right, look, label=name)
        axes.plot(1, accuracy["one frame"][question], "D", ms=10, label="one frame")
        axes.axhline(chance, color=plots.GREY, linestyle=":", label="chance")
        axes.axvspan(FRAMES + 0.5, LONGEST + 0.5, color="#EEEEEE", zorder=0)
        axes.text(FRAMES + 0.6, 0.62, "longer than\nin training", size=12)
        axes.set(xlabel="frames of the film", ylim=(0, 1.03), xlim=(0.5, LONGEST + 0.5))
        axes.set_title({"direction": "Where to?", "digit": "Which digit?"}[question])
    both[0].set_ylabel("accuracy (share of test films)")
    figure.legend(
        *both[0].get_legend_handles_labels(), loc="outside lower center", ncols=4
    )
    return figure


# %% [markdown]
# The films themselves: one for each direction, with the answers of the three networks.
# `films.gif` shows more of them, moving.


# %%
def draw_answers(networks, images, labels, random):
    """A picture of a test film in each direction, and what each network says."""
    names, ways = list(DIRECTIONS), np.arange(len(DIRECTIONS))
    which = random.choice(len(images), len(ways), replace=False)
    state = random.bit_generator.state
    said = {}
    for name, network in networks.items():
        random.bit_generator.state = state  # the same middles, whatever the length
        films = draw_films(images, which, ways, random, SEES[name])
        said[name] = ask(network, films)
    figure, grid = plt.subplots(len(ways), FRAMES + 1, figsize=(17, 9.5))
    for (way, n), axes in np.ndenumerate(grid):
        if n < FRAMES:
            axes.imshow(films[way, n, :, :, 0], cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        else:
            axes.axis("off")
        if way == 0 and n < FRAMES:
            axes.set_title(f"frame {n + 1}")
        if n == 0:
            axes.set_ylabel(f"{labels[which[way]]} goes {names[way]}", size=15)
    for way, axes in enumerate(grid[:, -1]):
        for place, (name, answers) in enumerate(said.items()):
            direction, digit = answers["direction"][way], answers["digit"][way]
            right = direction.argmax() == way and digit.argmax() == labels[which[way]]
            axes.text(
                0,
                0.95 - 0.36 * place,
                f"{name}:\n  {digit.argmax()} ({digit.max():.0%}) goes "
                f"{names[direction.argmax()]} ({direction.max():.0%})",
                color=plots.BLUE if right else plots.ORANGE,
                va="top",
                transform=axes.transAxes,
            )
    figure.suptitle("Blue: both answers are right. Orange: not.")
    return figure


def write_gif(path, images, random, side=4, scale=6):
    """A moving picture of test films, side by side, that runs in a circle."""
    count = side * side
    which = random.choice(len(images), count, replace=False)
    directions = random.integers(0, len(DIRECTIONS), count)
    films = draw_films(images, which, directions, random, LONGEST, LONGEST)[..., 0]
    films = np.pad(films, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.4)
    films = films.reshape(side, side, *films.shape[1:])  # (row, column, T, y, x)
    frames = np.concatenate(np.concatenate(films, axis=2), axis=2)  # (T, y, x)
    frames = (255 * frames).astype("uint8").repeat(scale, 1).repeat(scale, 2)
    first, *rest = [Image.fromarray(frame) for frame in frames]
    with files.replacing(path) as new:
        first.save(new, save_all=True, append_images=rest, duration=120, loop=0)


# %% [markdown]
# ## All of it


# %%
@errors.reported
def main(argv=None):
    options = read_options(argv)
    run = runs.Run.of(options)
    heaps = load_heaps(options.seed, options.quick)
    sizes = [len(labels) for _, labels in heaps]
    print("{} digits to train on, {} to choose the epoch, {} to test.".format(*sizes))

    networks, histories = {}, {}
    shown = build("recurrent", options, 1)
    models.tell_shapes(shown, np.zeros((2, FRAMES, SIDE, SIDE, 1), "float32"))
    for name in SEES:
        print(f"\n{name.capitalize()}", flush=True)
        networks[name], histories[name] = train(run, name, options, heaps)

    images, labels = heaps[2]
    random = np.random.default_rng((options.seed, 2))
    accuracy = evaluate(networks, images, labels, random)
    tell_result(accuracy)
    films, asked = every_way(images, labels, random, FRAMES)
    ways = turn_around(networks, films, asked, random)
    tell_ways(ways)
    courses = by_frames(networks, images, labels, random)

    folder, network = options.output, networks["recurrent"]
    figure = draw_by_frames(courses, accuracy)
    plots.save_figure(figure, folder / "accuracy_by_frames.png")
    figure = draw_answers(networks, images, labels, random)
    plots.save_figure(figure, folder / "films.png")
    write_gif(folder / "films.gif", images, random)
    with files.replacing(folder / "model.keras") as new:
        network.save(new)
    files.write_csv(folder / "history.csv", histories["recurrent"])
    run.record(
        {
            "test_accuracy": accuracy["recurrent"],
            "baselines": {
                "chance": {"direction": 1 / 4, "digit": 1 / 10},
                "one frame": accuracy["one frame"],
                "all frames, no order": accuracy["all frames, no order"],
            },
            "direction_in_other_orders": ways,
            "accuracy_by_frames": courses,
            "seconds_per_epoch": {
                name: runs.seconds_per_epoch(rows) for name, rows in histories.items()
            },
        }
    )
    run.finish()
    print(f"\nThe network, its figures and the pictures are in {folder}")


if __name__ == "__main__":
    errors.start(main)

# %% [markdown]
# ## Memory is what was missing, not sight
#
# Which digit it is, all three networks say well: they all have eyes. Where it goes, the
# single frame cannot show. The network that sees all frames but not their order finds out
# that something lies to the right and to the left, and stops there, near one half, where
# the argument from above said that it would. The recurrent network is right, backwards as
# well, and needs two frames for it. It has the same CNN and a few thousand weights more:
# W_xh, W_hh, b_h and h_0.
#
# What to take along:
#
# 1. Video is a CNN at each step (`TimeDistributed`) and a recurrent layer over what it
#    sees. The state after the last frame answers: many to one.
# 2. Ask what a network *could* know. Here it was possible to say before any training that
#    one network cannot be right more than once in four times, and another not more than
#    once in two.
# 3. See that the data give nothing away: the place of the digit could have, if the films
#    had been made from their first frame.
# 4. Split the digits before the films are made. Another film of a digit from the training
#    is no test.
#
# ## Exercises
#
# 1. Make the films from their first frame: in `make_films` let `time` begin at 0. What
#    does the network that sees a single frame reach, if that frame is the last one?
# 2. Replace `Flatten` in `build_sight` by `GlobalAveragePooling2D`. Which question
#    suffers, and why?
# 3. Let the digits go diagonally, too: eight directions. Which of the bounds change?
# 4. Let the screen be a ring, so that what leaves on the right comes in again on the left,
#    and start anywhere. Now *every* frame tells nothing about the direction. Which of
#    `--cell elman`, `gru` and `lstm` still learn it?
# 5. Leave out every other frame. What becomes of the accuracy, and of a digit that moves
#    half of the screen from frame to frame?
