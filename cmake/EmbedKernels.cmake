# Turns the files of kernels/ into one C source with their texts, at build time:
#
#   cmake -DOUTPUT=kernels_embedded.c "-DFILES=a.cl;math.h" -P EmbedKernels.cmake
#
# Each line becomes one string literal.
set(source "/* Made by cmake/EmbedKernels.cmake from kernels/: edit those. */\n")
string(APPEND source "#include \"backend/opencl/codegen/text.h\"\n\nconst kernel_file clg_kernel_files[] = {\n")
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME)
  file(READ "${file}" content)
  # C string literals: backslashes and quotes escaped, one literal a line.
  string(REPLACE "\\" "\\\\" content "${content}")
  string(REPLACE "\"" "\\\"" content "${content}")
  string(REPLACE "\n" "\\n\"\n     \"" content "${content}")
  string(APPEND source "    {\"${name}\",\n     \"${content}\"},\n")
endforeach()
string(APPEND source "    {0, 0}};\n")
file(WRITE "${OUTPUT}" "${source}")
