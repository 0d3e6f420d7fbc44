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

# A float expression must round as a float: x87 and ISO C on s390x compute in a wider format. CLGRAD_FLOAT_OPTIONS is
# what makes the compiler do so (32-bit x86 then needs SSE2).
set(CLGRAD_FLOAT_OPTIONS "")
foreach(options "" "-fexcess-precision=fast" "-msse2;-mfpmath=sse")
  string(MAKE_C_IDENTIFIER "CLGRAD_FLOATS_ROUND${options}" result)
  string(REPLACE ";" " " CMAKE_REQUIRED_FLAGS "${options}")
  check_c_source_compiles("#include <float.h>\n#if FLT_EVAL_METHOD != 0\n#error\n#endif\nint main(void) { return 0; }"
                          ${result})
  if(${result})
    set(CLGRAD_FLOAT_OPTIONS ${options})
    break()
  endif()
endforeach()
if(NOT ${result})
  message(FATAL_ERROR "clgrad: this compiler computes float expressions in a wider format (FLT_EVAL_METHOD is not 0)")
endif()
unset(CMAKE_REQUIRED_FLAGS)
