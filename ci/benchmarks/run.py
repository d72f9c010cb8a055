"""All benchmarks: python ci/benchmarks/run.py"""

import overhead
import training_step

if __name__ == "__main__":
    overhead.main()
    print()
    training_step.main()
