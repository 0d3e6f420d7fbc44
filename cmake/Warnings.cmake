# Compiler options: CLGRAD_WARNINGS and CLGRAD_COMPILE_OPTIONS.
set(CLGRAD_WARNINGS -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith
    -Wno-unknown-pragmas) # OpenMP's, in a build without it
if(CLGRAD_WARNINGS_AS_ERRORS)
  list(APPEND CLGRAD_WARNINGS -Werror)
endif()

# A compiler must not contract a*b + c on its own: where it does is not the same from one build to the next.
set(CLGRAD_COMPILE_OPTIONS -ffp-contract=off ${CLGRAD_FLOAT_OPTIONS})

if(CLGRAD_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # says that it does not see fences, of which only a test has one
    add_compile_options(-Wno-tsan)
  endif()
  add_link_options(-fsanitize=thread)
elseif(CLGRAD_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
