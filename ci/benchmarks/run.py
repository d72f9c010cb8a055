"""All benchmarks: python ci/benchmarks/run.py"""

import array_code
import convolution
import keras_files
import overhead
import recurrent
import running_means
import streaming
import training_step

if __name__ == "__main__":
    speeds = (overhead, training_step, array_code, convolution, recurrent, streaming, running_means, keras_files)
    for benchmark in speeds:
        benchmark.main()
        print()
