// What ThreadSanitizer is not to report, as it does not see what puts the one before the other:
// - An exception that one thread throws and another reads, as the error of an operation is, has its text in common with
//   its copies. How many there are is counted inside libstdc++, which is not instrumented: the last one, which frees
//   the text, seems to race with who has read it before.
// - Who is the last one to let go of an executor of Asio's is ordered after the others by a fence.
extern "C" const char* __tsan_default_suppressions();  // its name
extern "C" const char* __tsan_default_suppressions() {
  return "race:std::runtime_error::~runtime_error\n"
         "race:shared_target_executor::impl<*>::~impl\n";
}
