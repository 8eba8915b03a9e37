# %% [markdown]
# # Back-propagation through time
#
# **One weight is used at every step. How does the loss change with it, and how can one
# pass from the last step to the first find that out for all weights?**
#
# $$\frac{dL}{dh_t} = \frac{dL}{dy_t} W_{hy}^\top + \frac{dL}{da_{t+1}} W_{hh}^\top
# \qquad \frac{dL}{da_t} = \frac{dL}{dh_t} \odot (1 - h_t^2)
# \qquad \frac{dL}{dW_{hh}} = \sum_t h_{t-1}^\top \frac{dL}{da_t}$$
#
# Here are the two equations of the network, and these three, as a program. It is the whole
# method; the rest of the lesson says why it is right. ($\odot$ multiplies number by
# number. $W^\top$, the *transpose*, is $W$ with its rows as columns. $a_t$ is what stands
# inside the $\tanh$. The network is that of lesson 02, and at each step there is now a
# *target*: what $y_t$ should be.)

# %%
from workshop import drawings_of_backpropagation, lesson

# isort: split
import keras
import numpy as np

import keras_rnn

# %% tags=["parameters"]
seed = 1  # of all randomness
quick = False  # nothing here takes long
output = "output/backpropagation_through_time"  # folder for the figures

# %%
lesson.begin(globals(), quick={})

W_xh, W_hh = np.array([[0.5, -0.3], [0.8, 0.2]]), np.array([[0.1, 0.4], [-0.6, 0.7]])
b_h, W_hy, b_y = np.array([0.1, -0.2]), np.array([[0.9], [-0.4]]), np.array([0.2])
h_0 = np.array([0.3, -0.5])
xs = np.array([[1.0, 0.5], [-0.5, 1.0], [0.2, -1.0]])  # x_1, x_2, x_3
targets = np.array([[1.0], [0.5], [0.5]])

hs, ys = [h_0], []
for x in xs:  # forward, from the first step to the last
    hs.append(np.tanh(x @ W_xh + hs[-1] @ W_hh + b_h))
    ys.append(hs[-1] @ W_hy + b_y)

dL_dW_hh, of_next, steps = np.zeros((2, 2)), np.zeros(2), {}
for t in (3, 2, 1):  # backward, from the last step to the first
    dL_dy = ys[t - 1] - targets[t - 1]
    dL_dh = dL_dy @ W_hy.T + of_next
    dL_da = dL_dh * (1 - hs[t] ** 2)
    dL_dW_hh += np.outer(hs[t - 1], dL_da)  # h_{t-1} as a column, times dL/da_t
    steps[t] = {"y": dL_dy, "own": dL_dy @ W_hy.T, "next": of_next, "h": dL_dh}
    steps[t]["a"], of_next = dL_da, dL_da @ W_hh.T
print(dL_dW_hh)

# %% [markdown]
# Everything that was computed, on the unfolded network:

# %%
figure = drawings_of_backpropagation.draw_passes(xs, hs, ys, targets, steps, of_next)
lesson.show(figure, "passes.png")

# %% [markdown]
# ## What a gradient says, and the chain rule
#
# The *loss* $L$ is one number: how wrong the network is. Ours is $L = \sum_t L_t$ with
# $L_t = \frac12 (y_t - \text{target}_t)^2$. The *gradient* $dL/dv$ has the shape of $v$. It
# says for each number of $v$ how fast $L$ grows when that number grows. *Training* moves
# each weight a little against its gradient.
#
# The *chain rule* has two parts, and we need nothing else:
#
# 1. If $L$ sees $v$ through $u$ alone: $\frac{dL}{dv} = \frac{dL}{du} \frac{du}{dv}$.
# 2. If $L$ sees $v$ through several numbers $u_1, u_2, \dots$: add what comes through each.
#
# So at every number we ask: *through what does the loss see it?* We begin at the loss.
#
# ## From the loss to $y_t$, $h_t$, $a_t$
#
# **The output.** The slope of $\frac12 q^2$ is $q$, so
# $dL/dy_t = y_t - \text{target}_t$.
#
# **The state.** The loss sees $h_{t,i}$ through the outputs of its own step,
# $y_{t,k} = \sum_i h_{t,i} W_{hy,ik} + b_{y,k}$. The slope, with all else held fixed, is
# $\partial y_{t,k} / \partial h_{t,i} = W_{hy,ik}$. We add over the outputs $k$:
#
# $$\sum_k \frac{dL}{dy_{t,k}} W_{hy,ik} = \Big(\frac{dL}{dy_t} W_{hy}^\top\Big)_i$$
#
# Why the transpose? Forward we add over the *first* index of $W$, from all $i$ to one $k$.
# Backward we add over the *second* one, from all $k$ to one $i$.
#
# **The next step** sees $h_t$, too, and all later steps see it only through that one:
#
# $$a_{t+1,j} = \sum_i x_{t+1,i}\, W_{xh,ij} + \sum_i h_{t,i}\, W_{hh,ij} + b_{h,j}
# \quad\Rightarrow\quad \frac{\partial a_{t+1,j}}{\partial h_{t,i}} = W_{hh,ij}$$
#
# and adding over $j$ gives the second part of $dL/dh_t$:
#
# $$\sum_j \frac{dL}{da_{t+1,j}} W_{hh,ij} = \Big(\frac{dL}{da_{t+1}} W_{hh}^\top\Big)_i$$
#
# That is where $W_{hh}^\top$ comes from. At the last step this part is 0.
#
# **Inside the tanh.** With $u = e^a + e^{-a}$ and $v = e^a - e^{-a}$ we have $u' = v$,
# $v' = u$ and $\tanh = v/u$. So its slope is $(u^2 - v^2)/u^2 = 1 - \tanh^2 a = 1 - h^2$,
# and $\frac{dL}{da_t} = \frac{dL}{dh_t} \odot (1 - h_t^2)$.
#
# Now a sum by hand. Find its four numbers in the picture and in `W_hh`.

# %%
a = steps[3]["a"]
print(f"from step 3 to h_2,1: {a[0]:.4f}*(0.1) + {a[1]:.4f}*(0.4) = {a @ W_hh[0]:.4f}")
own = steps[2]["own"][0]
print(f"from y_2 to h_2,1:    {steps[2]['y'][0]:.4f}*(0.9) = {own:.4f}")
print(f"dL/dh_2,1:            {own:.4f} + {a @ W_hh[0]:.4f} = {steps[2]['h'][0]:.4f}")

# %% [markdown]
# *Your turn:* find $dL/dh_{2,2}$ and $dL/da_2$ on paper. The picture has the answers.
#
# ## From $a_t$ to the weight
#
# In the formula of $a_{t,j}$ the weight $W_{hh,ij}$ stands once, beside $h_{t-1,i}$. So
# $\partial a_{t,j} / \partial W_{hh,ij} = h_{t-1,i}$, and step $t$ adds
#
# $$h_{t-1,i} \frac{dL}{da_{t,j}} \quad\text{for all } i, j \text{ at once:}\quad
# h_{t-1}^\top \frac{dL}{da_t}$$
#
# A column times a row is a matrix, the *outer product*. But the weight made $h_1$, too, so
# it is in $a_2$ in two ways. Does the sum count it twice, or forget something?
#
# **Take copies.** Give each step a matrix of its own, $W^{(1)}, W^{(2)}, W^{(3)}$. Now
# $W^{(t)}$ enters $a_t$ and no other formula, so its gradient *is* the outer product of
# step $t$. What it does later comes through $a_t$, and $dL/da_t$ has all of that in it.
# Then set all copies equal to $W_{hh}$. The loss sees $W_{hh}$ through the copies, each
# with slope 1, so part 2 of the chain rule adds them. (You know it from $w^2$. Written
# $w^{(1)} w^{(2)}$, each copy has the slope $w$, and the sum is $2w$.)
#
# We can test that without any chain rule. We move one number $w$ of one copy by a tiny
# $\pm e$ (now $e = 10^{-6}$), and see how much the loss changes:
# $(L(w + e) - L(w - e)) / 2e$, a *finite difference*.


# %%
def by_differences(loss, values, e=1e-6):
    """The gradient of a loss with respect to each array, number by number."""
    gradients = [np.zeros_like(value) for value in values]
    for n, value in enumerate(values):
        for place in np.ndindex(value.shape):
            losses = []
            for move in (e, -e):
                moved = value.copy()
                moved[place] += move
                losses.append(loss([*values[:n], moved, *values[n + 1 :]]))
            gradients[n][place] = (losses[0] - losses[1]) / (2 * e)
    return gradients


# %%
def loss_of_copies(copies):
    """L, where each step has a W_hh of its own."""
    h, loss = h_0, 0.0
    for x, W, target in zip(xs, copies, targets):
        h = np.tanh(x @ W_xh + h @ W + b_h)
        loss += 0.5 * np.sum((h @ W_hy + b_y - target) ** 2)
    return loss


copies = by_differences(loss_of_copies, [W_hh] * 3)
by_steps = [np.outer(hs[t - 1], steps[t]["a"]) for t in (1, 2, 3)]
for t in range(3):
    print(f"copy {t + 1}: {copies[t].round(4).tolist()}")
    print(f"by hand {by_steps[t].round(4).tolist()}")
print(f"all     {by_differences(lambda w: loss_of_copies(w * 3), [W_hh])[0].round(4)}")
print(f"the sum {sum(by_steps).round(4)}")

# %% [markdown]
# ## All gradients
#
# The other weights go the same way: what the weight multiplied, times the gradient with
# respect to what it went into, summed over the steps.
#
# $$\frac{dL}{dW_{xh}} = \sum_t x_t^\top \frac{dL}{da_t} \quad
# \frac{dL}{db_h} = \sum_t \frac{dL}{da_t} \quad
# \frac{dL}{dW_{hy}} = \sum_t h_t^\top \frac{dL}{dy_t} \quad
# \frac{dL}{db_y} = \sum_t \frac{dL}{dy_t}$$
#
# $h_0$ is a weight, too. It is seen through $a_1$ alone, since there is no $y_0$:
# $\frac{dL}{dh_0} = \frac{dL}{da_1} W_{hh}^\top$. In code, a sum of outer products is one
# matrix product: `xs.T @ dL_das`.


# %%
def forward(w):
    """All hidden states, h_0 first, and all outputs."""
    W_xh, W_hh, b_h, W_hy, b_y, h_0 = w
    hs = [h_0]
    for x in xs:
        hs.append(np.tanh(x @ W_xh + hs[-1] @ W_hh + b_h))
    return np.array(hs), np.array(hs[1:]) @ W_hy + b_y


def backward(w, hs, dL_dys):
    """The gradient with respect to each weight, from those with respect to y_t."""
    _, W_hh, _, W_hy, *_ = w
    dL_das, of_next = np.zeros((3, 2)), np.zeros(2)
    for t in (3, 2, 1):
        dL_das[t - 1] = (dL_dys[t - 1] @ W_hy.T + of_next) * (1 - hs[t] ** 2)
        of_next = dL_das[t - 1] @ W_hh.T
    of_a = [xs.T @ dL_das, hs[:-1].T @ dL_das, dL_das.sum(axis=0)]
    return [*of_a, hs[1:].T @ dL_dys, dL_dys.sum(axis=0), of_next]


names, w = "W_xh W_hh b_h W_hy b_y h_0".split(), [W_xh, W_hh, b_h, W_hy, b_y, h_0]
hs, ys = forward(w)
by_hand = backward(w, hs, ys - targets)
for name, gradient in zip(names, by_hand):
    print(f"dL/d{name:4} =", gradient.round(4).tolist())

# %% [markdown]
# **The initial state learns.** A step against $dL/dh_0$ alone must lower the loss. For a
# small step the gradient even says by how much: the rate times the sum of its squares.


# %%
def half_squares(w):
    return 0.5 * np.sum((forward(w)[1] - targets) ** 2)


rate, of_h_0 = 0.1, by_hand[5]
before, after = half_squares(w), half_squares([*w[:5], h_0 - rate * of_h_0])
predicted = before - rate * np.sum(of_h_0**2)
print(f"L = {before:.6f}, after the step {after:.6f}, predicted {predicted:.6f}")

# %% [markdown]
# ## Is it right?
#
# Three checks: finite differences; *automatic differentiation*, where Keras runs its own
# loop and the backend applies the chain rule to each operation; and the pass of
# `keras_rnn`, written by hand as above. We get Keras's gradient by one step of *gradient
# descent*, weight minus rate times gradient: with the rate 1, it is what the weight loses.


# %%
def by_keras(RNN, w, y, loss):
    """The gradients from one step of gradient descent with the rate 1, in float64."""
    cell = keras_rnn.ElmanCell(2, output_units=len(w[4]), dtype="float64")
    layer = RNN(cell, return_sequences=True, dtype="float64")
    model = keras.Sequential([keras.Input((3, 2), dtype="float64"), layer])
    model.compile(keras.optimizers.SGD(1.0), **loss)
    model.set_weights(w)
    model.train_on_batch(xs[None], y[None])
    return [old - new for old, new in zip(w, model.get_weights())]


# %%
def check(by_hand, loss, w, y, keras_loss):
    """Prints how far the gradients by hand are from those of the three other ways."""
    others = {
        "finite differences": by_differences(loss, w),
        "Keras, automatic": by_keras(keras.layers.RNN, w, y, keras_loss),
        "keras_rnn": by_keras(keras_rnn.RNN, w, y, keras_loss),
    }
    apart = {
        name: max(np.abs(a - b).max() for a, b in zip(by_hand, gradients))
        for name, gradients in others.items()
    }
    lesson.table([{"by hand and": name, "differ by": d} for name, d in apart.items()])
    return apart


squares = keras.losses.MeanSquaredError(reduction="sum", dtype="float64")
keras_loss = {"loss": squares, "loss_weights": 0.5}
apart = check(by_hand, half_squares, w, targets, keras_loss)

# %% [markdown]
# ## Classes: softmax with cross-entropy
#
# With an output for each class, $s = h_t W_{hy} + b_y$ are logits, and the softmax makes
# probabilities of them: $p_k = e^{s_k} / \sum_m e^{s_m}$ (lesson 02). The loss for the
# right class $c$ is the *cross-entropy* $L_t = -\ln p_c$: near 0 if $p_c$ is near 1. We
# take the logarithm of the fraction first, and then the slope ($\ln u$ has $1/u$):
#
# $$L_t = -s_c + \ln \sum_m e^{s_m} \quad\Rightarrow\quad
# \frac{dL}{ds_k} = -[k = c] + \frac{e^{s_k}}{\sum_m e^{s_m}} = p_k - [k = c]$$
#
# $[k = c]$ is 1 for the right class, else 0: a one-hot vector. So, in one formula,
# $dL/ds = p - \text{onehot}$: what was said minus what is right. The rest stays as it is.

# %%
W_hs, b_s = np.array([[1.0, -0.5, 0.2], [0.4, 0.8, -1.0]]), np.array([0.0, 0.3, -0.1])
w_classes = [W_xh, W_hh, b_h, W_hs, b_s, h_0]
one_hot = np.eye(3)[[0, 2, 1]]  # classes 1, 3, 2 are right


def softmax(s):
    return np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True)


def cross_entropies(w):
    return -np.sum(one_hot * np.log(softmax(forward(w)[1])))


hs, s = forward(w_classes)
dL_ds = softmax(s) - one_hot
for t in range(3):
    print(f"step {t + 1}: p = {softmax(s[t]).round(3)}, dL/ds = {dL_ds[t].round(3)}")
of_classes = backward(w_classes, hs, dL_ds)
logits = {"from_logits": True, "reduction": "sum", "dtype": "float64"}
keras_loss = {"loss": keras.losses.CategoricalCrossentropy(**logits)}
apart_classes = check(of_classes, cross_entropies, w_classes, one_hot, keras_loss)

# %% [markdown]
# ## Summary
#
# 1. Backward from the last step, at each number: through what does the loss see it? Add.
# 2. The loss sees $h_t$ through $y_t$, by $W_{hy}^\top$, and $a_{t+1}$, by $W_{hh}^\top$.
# 3. $\tanh$ multiplies by $1 - h_t^2$.
# 4. A weight has a copy at each step; add their gradients. Each is what the copy multiplied,
#    as a column, times the gradient with respect to what it went into.
# 5. $h_0$ gets $\frac{dL}{da_1} W_{hh}^\top$ and is learned like the rest.
# 6. Softmax with cross-entropy begins with $p - \text{onehot}$.

# %%
rows = [
    {"by hand and": name, "squared error": d, "classes": apart_classes[name]}
    for name, d in apart.items()
]
lesson.table(rows)
lesson.record(
    apart=rows,
    gradients=dict(zip(names, by_hand)),
    gradients_of_classes=dict(zip(names, of_classes)),
    copies=copies,
    by_steps=by_steps,
    initial_state={"before": before, "after": after, "predicted": predicted},
)

# %% [markdown]
# ## Exercises
#
# 1. On paper, without looking: derive $dL/dW_{xh}$ with indices, as above. Why has it no
#    $W_{hh}$ in it, and where is the influence of the later steps?
# 2. Put the identity in the place of $\tanh$, and let $L = L_3$ only. Write $dL/dh_0$ in
#    one line. Which power of $W_{hh}^\top$ is in it?
# 3. A batch has several sequences. Which of the six formulas change, and how? Write
#    `backward` for inputs of shape (batch, steps, features).
# 4. Finite differences with $e$ from $10^{-1}$ to $10^{-13}$: draw the error. Why does it
#    grow at both ends?
# 5. For very long sequences, *truncated* back-propagation stops $k$ steps back. Let a network
#    of 20 steps learn the sign of its first input, with $k = 20$ and less. What is lost?
#
# Solved: [solutions](solutions/03_backpropagation_through_time.py). On the page
# [two units, unfolded](../docs/explore/index.html) each number of this network can be
# changed, and a click on a gradient writes out its sum. Each step back
# multiplies by $W_{hh}^\top$ and by $1 - h_t^2$. What a hundred such steps do to a gradient
# is the next lesson: [Vanishing gradients](04_vanishing_gradients.py).
