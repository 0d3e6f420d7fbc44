# cmake --install: headers, both libraries, the program, the CMake package and the pkg-config file.
include(CMakePackageConfigHelpers)

install(DIRECTORY include/clgrad DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS clgrad clgrad_static EXPORT clgrad
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS clgrad_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

set(CLGRAD_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/clgrad)
install(EXPORT clgrad NAMESPACE clgrad:: FILE clgrad-config.cmake DESTINATION ${CLGRAD_CMAKE_DIR})
write_basic_package_version_file(clgrad-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/clgrad-config-version.cmake" DESTINATION ${CLGRAD_CMAKE_DIR})

# Libs.private: what a program that links libclgrad.a must link too, as -l options.
set(CLGRAD_PRIVATE_LIBS "")
foreach(library IN LISTS CLGRAD_LIBRARIES)
  get_filename_component(name "${library}" NAME_WE)
  string(REGEX REPLACE "^lib" "" name "${name}")
  string(APPEND CLGRAD_PRIVATE_LIBS " -l${name}")
endforeach()
configure_file(cmake/clgrad.pc.in clgrad.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/clgrad.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
