"""Where the gradient vanishes or explodes: back-propagation through time, made visible.

The loss L sees the state h_t in two ways, through the output of step t and through all
that follows. The chain rule, from the last step to the first,

    dL/dh_t  =  (dL/dh_t through the output)  +  dL/dh_{t+1} @ dh_{t+1}/dh_t,

multiplies by one Jacobian for each step back. If these are small, nothing of the loss
reaches the first steps: the gradient *vanishes*. If they are large, it *explodes*.

`state_gradients` shows the left side for each layer and step, `jacobian_spectrum` what
the factors do, and `GradientFlow` watches both go by while a model trains.

    states.py      `state_gradients`, `jacobian_spectrum`
    callback.py    `GradientFlow`: records while a model trains
    diagnosis.py   what a record says of the gradient, in words
    records.py     records as CSV, for TensorBoard, as a plot
    probe.py       the gradient of a model's loss with respect to each state
    watching.py    recurrent layers that write down each of their steps

Sources: Sepp Hochreiter, 1991, Untersuchungen zu dynamischen neuronalen Netzen; Yoshua
Bengio, Patrice Simard and Paolo Frasconi, 1994, Learning long-term dependencies with
gradient descent is difficult; Razvan Pascanu, Tomas Mikolov and Yoshua Bengio, 2013, On
the difficulty of training recurrent neural networks.
"""

from keras_rnn.gradient_flow.callback import GradientFlow
from keras_rnn.gradient_flow.states import (
    JacobianSpectrum,
    jacobian_spectrum,
    state_gradients,
)

__all__ = ["GradientFlow", "JacobianSpectrum", "jacobian_spectrum", "state_gradients"]
