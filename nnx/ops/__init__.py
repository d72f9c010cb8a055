"""Operations on arrays with the names, arguments and meanings of `keras.ops`.

They work on arrays of every backend, lists and numbers; on tracked arrays, where they are differentiated; on parameters
of layers; and on symbols of a graph, where each becomes a named operation of the model. Random numbers are in
`nnx.random`.
"""
