"""Examples of layers: recurrent layers, wrappers and attention."""

from __future__ import annotations

from collections.abc import Callable

from nnx.layers import Activation, Dense, Dropout, Layer
from nnx.layers.attention import GroupQueryAttention, MultiHeadAttention
from nnx.layers.bidirectional import Bidirectional
from nnx.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from nnx.layers.gru import GRU, GRUCell
from nnx.layers.lstm import LSTM, LSTMCell
from nnx.layers.rnn import RNN, StackedRNNCells
from nnx.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from nnx.layers.single_head_attention import AdditiveAttention, Attention
from nnx.layers.time_distributed import TimeDistributed
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_several = LAYERS.several_inputs


def _layer(name: str, make: Callable[[], Layer], input_shape: tuple[int, ...] = (3, 4, 5)) -> None:
    LAYERS.one_input(name, make, *input_shape)


_layer("SimpleRNN", lambda: SimpleRNN(3))
_layer("SimpleRNN of sequences", lambda: SimpleRNN(3, return_sequences=True))
_layer("SimpleRNN relu backwards", lambda: SimpleRNN(3, "relu", go_backwards=True, return_sequences=True))
_layer("SimpleRNN without bias", lambda: SimpleRNN(3, use_bias=False))
_layer("SimpleRNN of one step", lambda: SimpleRNN(1), (1, 1, 1))
_layer("SimpleRNN dropout", lambda: SimpleRNN(3, dropout=0.3, recurrent_dropout=0.4, seed=3))
_layer("LSTM", lambda: LSTM(3))
_layer("LSTM of sequences", lambda: LSTM(3, return_sequences=True))
_layer("LSTM backwards", lambda: LSTM(3, go_backwards=True, return_sequences=True))
_layer("LSTM without bias", lambda: LSTM(3, use_bias=False))
_layer("LSTM forgetful", lambda: LSTM(3, unit_forget_bias=False, bias_initializer="ones"))
_layer("LSTM gates", lambda: LSTM(3, "softsign", "hard_sigmoid"))
_layer("LSTM of one sample", lambda: LSTM(2), (1, 7, 1))
_layer("LSTM dropout of inputs", lambda: LSTM(3, dropout=0.3, seed=3, return_sequences=True))
_layer("LSTM dropout", lambda: LSTM(3, dropout=0.3, recurrent_dropout=0.4, seed=3))
_layer(
    "LSTM regularised",
    lambda: LSTM(3, kernel_regularizer="l2", recurrent_regularizer="l1", bias_regularizer="l2"),
)
_layer(
    "LSTM constrained",
    lambda: LSTM(3, kernel_constraint="max_norm", recurrent_constraint="unit_norm", bias_constraint="non_neg"),
)
_layer("GRU", lambda: GRU(3))
_layer("GRU of sequences", lambda: GRU(3, return_sequences=True))
_layer("GRU backwards", lambda: GRU(3, go_backwards=True, return_sequences=True))
_layer("GRU reset before", lambda: GRU(3, reset_after=False, return_sequences=True))
_layer("GRU without bias", lambda: GRU(3, use_bias=False))
_layer("GRU gates", lambda: GRU(3, "relu", "tanh"))
_layer("GRU dropout", lambda: GRU(3, dropout=0.3, recurrent_dropout=0.4, seed=3))
_layer("GRU reset before, dropout", lambda: GRU(3, recurrent_dropout=0.4, reset_after=False, seed=3))
_layer("Bidirectional", lambda: Bidirectional(LSTM(3)))
_layer("Bidirectional of sequences", lambda: Bidirectional(GRU(3, return_sequences=True)))
_layer("Bidirectional sum", lambda: Bidirectional(SimpleRNN(3, return_sequences=True), merge_mode="sum"))
_layer("Bidirectional mul", lambda: Bidirectional(LSTM(3), merge_mode="mul"))
_layer("Bidirectional ave", lambda: Bidirectional(LSTM(3, return_sequences=True), merge_mode="ave"))
_layer(
    "Bidirectional of two layers",
    lambda: Bidirectional(GRU(2), backward_layer=LSTM(3, "relu", go_backwards=True, name="other")),
)
_layer("Bidirectional dropout", lambda: Bidirectional(GRU(3, dropout=0.3, recurrent_dropout=0.3, seed=3)))
_layer("TimeDistributed", lambda: TimeDistributed(Dense(2, "tanh")))
_layer("TimeDistributed of many axes", lambda: TimeDistributed(Dense(2)), (2, 3, 4, 5))
_layer("TimeDistributed GRU", lambda: TimeDistributed(GRU(2)), (2, 3, 4, 5))
_layer("TimeDistributed activation", lambda: TimeDistributed(Activation("softmax")))
_layer("TimeDistributed dropout", lambda: TimeDistributed(Dropout(0.4, seed=3)))
_layer("TimeDistributed twice", lambda: TimeDistributed(TimeDistributed(Dense(2))), (2, 3, 4, 5))

_layer("RNN", lambda: RNN(LSTMCell(3)))
_layer("RNN of sequences", lambda: RNN(GRUCell(3, reset_after=False), return_sequences=True, go_backwards=True))
_layer(
    "RNN of stacked cells",
    lambda: RNN([LSTMCell(3, dropout=0.3, seed=3), SimpleRNNCell(2, "relu", recurrent_dropout=0.4, seed=4)]),
)
_layer("Bidirectional of a cell", lambda: Bidirectional(RNN(GRUCell(3), return_sequences=True)))

_layer("ConvLSTM1D", lambda: ConvLSTM1D(2, 2, 2, "same", return_sequences=True), (2, 3, 4, 2))
_layer("ConvLSTM1D dropout", lambda: ConvLSTM1D(2, 2, dropout=0.3, recurrent_dropout=0.4, seed=3), (2, 2, 4, 2))
_layer("ConvLSTM2D", lambda: ConvLSTM2D(2, 2, data_format="channels_first", use_bias=False), (2, 2, 2, 3, 4))
_layer("ConvLSTM3D", lambda: ConvLSTM3D(2, 2, go_backwards=True), (2, 2, 2, 3, 2, 2))

_STEP, _STATE = (2, 5), (2, 3)
_several("LSTMCell", lambda: LSTMCell(3), _STEP, _STATE, _STATE)
_several("LSTMCell without bias", lambda: LSTMCell(3, "relu", "tanh", use_bias=False), _STEP, _STATE, _STATE)
_several("LSTMCell dropout", lambda: LSTMCell(3, dropout=0.3, recurrent_dropout=0.4, seed=3), _STEP, _STATE, _STATE)
_several("GRUCell", lambda: GRUCell(3), _STEP, _STATE)
_several("GRUCell reset before", lambda: GRUCell(3, reset_after=False), _STEP, _STATE)
_several("SimpleRNNCell", lambda: SimpleRNNCell(3), _STEP, _STATE)
_several("StackedRNNCells", lambda: StackedRNNCells([LSTMCell(3), GRUCell(2)]), _STEP, _STATE, _STATE, (2, 2))

_SELF = (2, 4, 5), (2, 4, 5)
_CROSS = (2, 4, 5), (2, 3, 6)
_several("Attention", lambda: Attention(), *_SELF)
_several("Attention with key, scale", lambda: Attention(use_scale=True), (2, 4, 5), (2, 3, 6), (2, 3, 5))
_several("Attention of sums", lambda: Attention(score_mode="concat"), (2, 4, 5), (2, 3, 5))
_several("Attention of scaled sums", lambda: Attention(True, "concat", dropout=0.3, seed=3), *_SELF)
_several("AdditiveAttention", lambda: AdditiveAttention(), (2, 4, 5), (2, 3, 5))
_several("AdditiveAttention with key", lambda: AdditiveAttention(False), (2, 4, 5), (2, 3, 6), (2, 3, 5))
_several("AdditiveAttention dropout", lambda: AdditiveAttention(dropout=0.3, seed=3), *_SELF)
_several("GroupQueryAttention", lambda: GroupQueryAttention(3, 4, 2), *_SELF)
_several("GroupQueryAttention gate", lambda: GroupQueryAttention(2, 2, 1, use_bias=False, use_gate=True), *_CROSS)
_several("MultiHeadAttention", lambda: MultiHeadAttention(2, 3), *_SELF)
_several("MultiHeadAttention of another sequence", lambda: MultiHeadAttention(2, 3, value_dim=4), *_CROSS)
_several("MultiHeadAttention with key", lambda: MultiHeadAttention(2, 3, use_bias=False), *_CROSS, (2, 3, 7))
_several("MultiHeadAttention one head", lambda: MultiHeadAttention(1, 1, output_shape=2), *_CROSS)
_several("MultiHeadAttention output of two axes", lambda: MultiHeadAttention(3, 2, output_shape=(2, 3)), *_CROSS)
_several("MultiHeadAttention dropout", lambda: MultiHeadAttention(2, 3, dropout=0.3, seed=3), *_CROSS)
_several("MultiHeadAttention window, gate", lambda: MultiHeadAttention(2, 3, sliding_window=2, use_gate=True), *_SELF)
_several("MultiHeadAttention of images", lambda: MultiHeadAttention(2, 3), (2, 3, 2, 5), (2, 2, 2, 4))
_several("MultiHeadAttention of rows", lambda: MultiHeadAttention(2, 3, attention_axes=2), (2, 3, 2, 5), (2, 3, 4, 4))
_several(
    "MultiHeadAttention regularised",
    lambda: MultiHeadAttention(2, 3, kernel_regularizer="l2", bias_regularizer="l1", kernel_constraint="max_norm"),
    *_SELF,
)
_several("MultiHeadAttention of one sample", lambda: MultiHeadAttention(2, 3), (1, 1, 1), (1, 1, 1))
