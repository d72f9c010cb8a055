"""All benchmarks: python ci/benchmarks/run.py"""

import array_code
import convolution
import overhead
import recurrent
import streaming
import training_step

if __name__ == "__main__":
    for benchmark in (overhead, training_step, array_code, convolution, recurrent, streaming):
        benchmark.main()
        print()
