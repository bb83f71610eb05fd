# Gives the steps the environment of a login shell of the runner's user. Sourced by runner.sh.
# shellcheck shell=sh disable=SC2034,SC2154  # variables are shared with the files beside this one

# Leaves in $login, as commands for `eval`, the exports of a login: PAM's environment file, the user's names, and the
# result of the login shell's profiles. A profile may read, print, fail or hang: the job continues without it.
read_login() {
  login=''
  [ "$logs_in" = yes ] || return 0
  find_login_shell
  (
    cd "$HOME" || cd /
    exec </dev/null >/dev/null 2>&1
    read_assignments /etc/environment
    read_assignments /etc/default/locale
    read_assignments /etc/locale.conf
    SHELL=$login_shell USER=$login_user LOGNAME=$login_user
    export HOME PATH SHELL USER LOGNAME
    unset_service_variables
    # The same shell that reads the exports also prints them.
    # shellcheck disable=SC2016,SC2086  # the inner shells expand; word splitting is intended
    $bounded "$login_shell" -l -c 'exec /bin/sh -c "unset PWD OLDPWD; export -p" >"$0"' "$state/login"
  )
  load_login
}

load_login() {
  login=''
  [ -s "$state/login" ] || return 0
  login="$(cat "$state/login")
add_to_path '$PATH'"
}

# The user's own shell, if it accepts the options of sh.
find_login_shell() {
  login_user=root login_shell=/bin/sh
  number=$(id -u 2>/dev/null)
  while IFS=: read -r entry_name _ entry_number _ _ _ entry_shell; do
    [ "$entry_number" = "${number:-0}" ] || continue
    login_user=$entry_name
    case ${entry_shell##*/} in
      sh | ash | bash | dash | ksh | ksh93 | mksh | zsh) [ ! -x "$entry_shell" ] || login_shell=$entry_shell ;;
    esac
    return
  done </etc/passwd
} 2>/dev/null

# read_assignments FILE: exports its lines NAME=VALUE, as pam_env does.
read_assignments() {
  [ -r "$1" ] || return 0
  while IFS= read -r line; do
    line=${line#export }
    case $line in
      [!A-Za-z_]*) continue ;;
      *=*) ;;
      *) continue ;;
    esac
    case ${line%%=*} in *[!A-Za-z0-9_]*) continue ;; esac
    value=${line#*=}
    case $value in
      '"'*'"') value=${value#'"'} && value=${value%'"'} ;;
      "'"*"'") value=${value#"'"} && value=${value%"'"} ;;
    esac
    export "${line%%=*}=$value"
  done <"$1"
}

# add_to_path DIRECTORIES: adds the runner's search directories, so that steps find programs such as curl and git too.
add_to_path() {
  directories=$1:
  while [ -n "$directories" ]; do
    directory=${directories%%:*}
    directories=${directories#*:}
    case :$PATH: in *:"$directory":*) ;; *) PATH=$PATH:$directory ;; esac
  done
}

# Removes variables that the service manager sets for a service, and a login does not have.
unset_service_variables() {
  unset JOURNAL_STREAM INVOCATION_ID SYSTEMD_EXEC_PID MEMORY_PRESSURE_WATCH MEMORY_PRESSURE_WRITE OLDPWD
}

# Leaves in $with_signals a command prefix that restores the default signals, if the runner was started with ignored
# signals: a shell cannot reset them. Detection needs the /proc of Linux; elsewhere no signal is assumed to be ignored.
find_signal_reset() {
  with_signals='' ignored=0
  while read -r field mask; do
    [ "$field" != SigIgn: ] || ignored=$((0x${mask#????????}))
  done <"/proc/$$/status"
  # HUP, INT, QUIT and PIPE are the signals 1, 2, 3 and 13.
  [ $((ignored & 4103)) != 0 ] || return 0
  # shellcheck disable=SC2016  # variables of Perl
  if env --default-signal=HUP,INT,QUIT,PIPE true; then with_signals='env --default-signal=HUP,INT,QUIT,PIPE'
  elif have perl; then with_signals='perl -e for(HUP,INT,QUIT,PIPE){$SIG{$_}=DEFAULT}exec(@ARGV)'
  fi
} 2>/dev/null
