# Lists the functions of the public headers that make variables of variables, as a C source for `clgrad ops`:
#
#   cmake -DOUTPUT=functions_listed.c "-DFILES=clgrad.h;functions.h" -P ListFunctions.cmake
#
# Not those that only ask about a variable.
cmake_minimum_required(VERSION 3.18)
set(questions clg_operand clg_grad clg_apply)
set(source "/* Made by cmake/ListFunctions.cmake from the public headers: edit those. */\n")
string(APPEND source "#include \"functions.h\"\n\nconst char *const cli_functions[] = {\n")
foreach(file IN LISTS FILES)
  file(READ "${file}" content)
  string(REGEX REPLACE "[ \n]+" " " content "${content}")
  string(REGEX MATCHALL "CLG_API clg_(var|recurrent) clg_[a-z0-9_]+\\([^()]*\\)" prototypes "${content}")
  foreach(prototype IN LISTS prototypes)
    string(REGEX MATCH "clg_[a-z0-9_]+\\(" name "${prototype}")
    string(REPLACE "(" "" name "${name}")
    string(REGEX REPLACE "^CLG_API " "" prototype "${prototype}")
    if(prototype MATCHES "\\(.*clg_var" AND NOT name IN_LIST questions)
      string(APPEND source "    \"${prototype}\",\n")
    endif()
  endforeach()
endforeach()
string(APPEND source "    0};\n")
file(WRITE "${OUTPUT}" "${source}")
