"""All benchmarks: python ci/benchmarks/run.py"""

import array_code
import convolution
import overhead
import recurrent
import running_means
import streaming
import tape
import training_step

if __name__ == "__main__":
    benchmarks = (overhead, training_step, array_code, convolution, recurrent, streaming, running_means, tape)
    for benchmark in benchmarks:
        benchmark.main()
        print()
