# %% [markdown]
# # Solutions: the two equations
#
# The exercises of [lesson 02](../02_the_equations.py), one after the other.

# %%
import sys

sys.path += ["tutorials", ".", ".."]  # where `workshop` is, seen from where we may be

from workshop import drawings_of_steps, lesson

# isort: split
import keras
import numpy as np

import keras_rnn

# %% tags=["parameters"]
seed = 1  # of all randomness
quick = False  # nothing here takes long
output = "output/solutions/the_equations"  # folder for the figures

# %%
lesson.begin(globals(), quick={})

W_xh = np.array([[0.5, -0.3], [0.8, 0.2]])
W_hh = np.array([[0.1, 0.4], [-0.6, 0.7]])
b_h = np.array([0.1, -0.2])
W_hy = np.array([[0.9], [-0.4]])
b_y = np.array([0.2])
h_0 = np.array([0.3, -0.5])
xs = np.array([[1.0, 0.5], [-0.5, 1.0], [0.2, -1.0]])


def run(xs, W_hh=W_hh):
    """All hidden states, h_0 first, and all outputs."""
    hs = [h_0]
    for x in xs:
        hs.append(np.tanh(x @ W_xh + hs[-1] @ W_hh + b_h))
    return np.array(hs), np.array(hs[1:]) @ W_hy + b_y


# %% [markdown]
# ## 1. Another first input
#
# In $a_{1,1}$ the product $1 \cdot 0.5$ becomes $-1 \cdot 0.5$, so it falls by 1 from 1.33
# to 0.33. In $a_{1,2}$ the product $1 \cdot (-0.3)$ becomes $0.3$, so it rises by 0.6 from
# $-0.63$ to $-0.03$. Then $h_1 = (\tanh 0.33, \tanh(-0.03)) = (0.3185, -0.0300)$ and
# $y_1 = 0.3185 \cdot 0.9 + 0.03 \cdot 0.4 + 0.2 = 0.4987$.

# %%
changed = np.array([[-1.0, 0.5], *xs[1:]])
hs, ys = run(changed)
print("h_1 =", hs[1].round(4), " y_1 =", ys[0].round(4))

# %% [markdown]
# ## 2. No recurrent weights
#
# All orange arrows are gone: a weight of 0 has none. No road leads from one step to the
# next, and $y_3$ knows nothing of $x_1$. Not even $h_0$ counts.

# %%
hs, ys = run(xs, W_hh=np.zeros((2, 2)))
figure = drawings_of_steps.draw_unfolded(xs, hs, ys, (W_xh, np.zeros((2, 2)), W_hy))
lesson.show(figure, "no_recurrence.png")
_, others = run(changed, W_hh=np.zeros((2, 2)))
without = np.abs(others - ys)[:, 0]
print("the outputs move by", without.round(4), "when x_1 changes its sign")

# %% [markdown]
# ## 3. The identity
#
# $h_t = h_{t-1} + x_t$: the *sum of all inputs* so far. Nothing is forgotten, but the order
# is lost, since a sum does not know which number came first. And nothing keeps it between
# $-1$ and $1$.

# %%
layer = keras_rnn.ElmanRNN(
    2,
    activation="linear",
    kernel_initializer="identity",
    recurrent_initializer="identity",
    learn_initial_state=False,
    return_sequences=True,
)
sums = keras.ops.convert_to_numpy(layer(xs[None].astype("float32")))[0]
print("h_t:", sums.round(4).tolist())
print("sum:", np.cumsum(xs, axis=0).round(4).tolist())

# %% [markdown]
# ## 4. How many weights
#
# $W_{xh}$ has $nm$ numbers, $W_{hh}$ $m^2$, $b_h$ $m$, $W_{hy}$ $mk$, $b_y$ $k$, and $h_0$
# $m$ again: together $nm + m^2 + 2m + mk + k$. The term that grows fastest with $m$ is
# $m^2$, the recurrent kernel: twice the units, four times its weights.

# %%
counts = []
for n, m, k in ((2, 2, 1), (10, 64, 5), (10, 128, 5)):
    layer = keras_rnn.ElmanRNN(m, output_units=k)
    layer.build((None, None, n))
    formula = n * m + m**2 + 2 * m + m * k + k
    sizes = {"features": n, "units": m, "outputs": k}
    counts.append(sizes | {"formula": formula, "count_params": layer.count_params()})
lesson.table(counts)

# %% [markdown]
# ## 5. Softmax
#
# $e^{s_k + 10} = e^{10} e^{s_k}$: above and below the line stands the same factor $e^{10}$,
# and it cancels out. So only differences of logits count. For two classes divide above
# and below by $e^{s_1}$:
#
# $$p_1 = \frac{e^{s_1}}{e^{s_1} + e^{s_2}} = \frac{1}{1 + e^{s_2 - s_1}}
# = \frac{1}{1 + e^{-(s_1 - s_2)}}$$


# %%
def softmax(s):
    return np.exp(s) / np.exp(s).sum()


s = np.array([0.6, -0.6, 0.6])
shifted = np.abs(softmax(s + 10) - softmax(s)).max()
two = np.abs(softmax(s[:2])[0] - 1 / (1 + np.exp(-(s[0] - s[1]))))
print(f"all logits + 10: probabilities differ by {shifted:.0e}")
print(f"two classes: {softmax(s[:2])[0]:.4f}, differs from the sigmoid by {two:.0e}")

# %%
lesson.record(
    changed=run(changed)[1],
    without_recurrence=without,
    sums=sums,
    counts=counts,
    shifted=shifted,
    two=two,
)
