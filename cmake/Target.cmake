# CLGRAD_TARGET: the processor family that is compiled for, as the compiler has it, whatever the machine is called (a
# 64-bit kernel with 32-bit programs, a cross compiler).
include(CheckCSourceCompiles)
include(CheckCCompilerFlag)
function(clgrad_target name macro)
  check_c_source_compiles("#ifndef ${macro}\n#error\n#endif\nint main(void) { return 0; }" CLGRAD_TARGET_${name})
  if(CLGRAD_TARGET_${name})
    set(CLGRAD_TARGET ${name} PARENT_SCOPE)
  endif()
endfunction()
set(CLGRAD_TARGET other)
clgrad_target(x86_64 __x86_64__)
clgrad_target(i386 __i386__)
clgrad_target(aarch64 __aarch64__)
