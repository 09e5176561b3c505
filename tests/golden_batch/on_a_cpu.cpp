#include "kernel.cu"

extern "C" void launch(const int64* given, int networks) { launch_on_threads(run, given, networks); }
