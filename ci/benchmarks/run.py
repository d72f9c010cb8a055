"""All benchmarks: python ci/benchmarks/run.py"""

import convolution
import keras_files
import overhead
import recurrent
import streaming
import training_step

if __name__ == "__main__":
    for benchmark in (overhead, training_step, convolution, recurrent, streaming, keras_files):
        benchmark.main()
        print()
