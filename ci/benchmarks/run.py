"""All benchmarks: python ci/benchmarks/run.py"""

import convolution
import overhead
import recurrent
import running_means
import streaming
import training_step

if __name__ == "__main__":
    for benchmark in (overhead, training_step, convolution, recurrent, streaming, running_means):
        benchmark.main()
        print()
