# SPDX-License-Identifier: MIT

# TIDE_ADD_CFLAG(VARIABLE, FLAG): append FLAG to VARIABLE when the compiler takes it without a word.
AC_DEFUN([TIDE_ADD_CFLAG], [
  AS_VAR_PUSHDEF([cachevar], [tide_cv_cflag_$2])
  AC_CACHE_CHECK([whether $CC takes $2], [cachevar], [
    tide_saved_CFLAGS=$CFLAGS
    # A plain -Wno-x is never refused by gcc, so ask about -Wx.
    CFLAGS="$CFLAGS -Werror m4_bpatsubst([$2], [^-Wno-], [-W])"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([cachevar], [yes])],
      [AS_VAR_SET([cachevar], [no])])
    CFLAGS=$tide_saved_CFLAGS])
  AS_VAR_IF([cachevar], [yes], [AS_VAR_APPEND([$1], [" $2"])])
  AS_VAR_POPDEF([cachevar])])

# TIDE_ADD_CFLAGS(VARIABLE, FLAGS): the same for each of several flags.
AC_DEFUN([TIDE_ADD_CFLAGS], [
  m4_foreach_w([tide_flag], [$2], [TIDE_ADD_CFLAG([$1], m4_defn([tide_flag]))])])

# TIDE_HAVE_LAYOUT(SCRIPT, IF-YES): does the linker make a library whose sections SCRIPT inserts?
AC_DEFUN([TIDE_HAVE_LAYOUT], [
  AC_CACHE_CHECK([whether the linker follows $1], [tide_cv_layout], [
    tide_saved_LDFLAGS=$LDFLAGS
    tide_saved_CFLAGS=$CFLAGS
    LDFLAGS="$LDFLAGS -shared -Wl,-z,relro -Wl,-T,$srcdir/$1"
    CFLAGS="$CFLAGS -fPIC"
    AC_LINK_IFELSE([AC_LANG_SOURCE([[int f(int x) { return x; }]])], [tide_cv_layout=yes],
      [tide_cv_layout=no])
    LDFLAGS=$tide_saved_LDFLAGS
    CFLAGS=$tide_saved_CFLAGS])
  AS_IF([test $tide_cv_layout = yes], [$2])])

# TIDE_ADD_LDFLAG(VARIABLE, FLAG): append FLAG to VARIABLE when a program links with it.
AC_DEFUN([TIDE_ADD_LDFLAG], [
  AS_VAR_PUSHDEF([cachevar], [tide_cv_ldflag_$2])
  AC_CACHE_CHECK([whether the linker takes $2], [cachevar], [
    tide_saved_LDFLAGS=$LDFLAGS
    LDFLAGS="$LDFLAGS -Werror $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([cachevar], [yes])],
      [AS_VAR_SET([cachevar], [no])])
    LDFLAGS=$tide_saved_LDFLAGS])
  AS_VAR_IF([cachevar], [yes], [AS_VAR_APPEND([$1], [" $2"])])
  AS_VAR_POPDEF([cachevar])])
