#!/bin/sh
# Checks out SOLSTICE_COMMIT of SOLSTICE_REPO_URL into the working directory: the first step of a job with a
# repository. SOLSTICE_REF may be empty. The last line of output is the reason of a failure; exit code 128 means that
# git failed.
#
# When the host's firewall blocks the repository, SOLSTICE_CHECKOUT_CLOSED has the reason: then one attempt is enough.
#
# For a repository that requires credentials, SOLSTICE_CHECKOUT_KIND is `password` (of SOLSTICE_CHECKOUT_USER) or
# `ssh_key`, and SOLSTICE_CHECKOUT_SECRET has the secret. git gets the secret through the environment, or a key file
# that only its owner can read: never in the URL, an argument list or .git/config.

fetch_attempts=3
trouble=.git/solstice-trouble

report_trouble() { printf 'solstice: %s\n' "$*" >&2; }

# without_password URL: prints the URL without user and password. git@host:path has no password.
without_password() {
  case $1 in *://*) ;; *) printf '%s\n' "$1"; return ;; esac
  rest=${1#*://}
  authority=${rest%%/*}
  printf '%s://%s%s\n' "${1%%://*}" "${authority##*@}" "${rest#"$authority"}"
}

# Passes the credentials to git for this repository's server only, not for a server that redirects name.
prepare_credentials() {
  helper='credential.useHttpPath=false'
  case ${SOLSTICE_CHECKOUT_KIND:-}:$SOLSTICE_REPO_URL in
    password:http*://*)
      origin=${SOLSTICE_REPO_URL%%://*}://${where#*://}
      origin=${origin%"/${origin#*://*/}"}
      # shellcheck disable=SC2016  # expanded by the shell that git starts
      helper="credential.$origin.helper="'!f() { [ "$1" != get ] || printf "username=%s\npassword=%s\n" "$SOLSTICE_CHECKOUT_USER" "$SOLSTICE_CHECKOUT_SECRET"; }; f'
      ;;
    ssh_key:*)
      (umask 077 && printf '%s\n' "$SOLSTICE_CHECKOUT_SECRET" >"$SOLSTICE_CHECKOUT_KEY") || return
      unset SOLSTICE_CHECKOUT_SECRET
      trap 'rm -f "$SOLSTICE_CHECKOUT_KEY"' EXIT
      GIT_SSH_COMMAND="ssh -i '$SOLSTICE_CHECKOUT_KEY' -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=30"
      GIT_SSH_COMMAND="$GIT_SSH_COMMAND -o StrictHostKeyChecking=accept-new"
      ;;
  esac
}

fetch() {
  git -c "$helper" fetch --no-recurse-submodules "$@" 2>$trouble
  fetch_code=$?
  cat $trouble >&2
  return $fetch_code
}

has_commit() { git cat-file -e "$SOLSTICE_COMMIT^{commit}" 2>/dev/null; }

# has_trouble -e TEXT...: true when git's error output has one of the texts, in any letter case.
has_trouble() { grep -i "$@" $trouble >/dev/null; }

# True when another attempt would fail the same way; then reports the reason.
is_permanent() {
  if has_trouble -e 'could not read Username' -e 'could not read Password' -e 'Authentication failed' \
    -e 'Permission denied (' -e 'Permission denied, please' -e 'terminal prompts disabled' -e 'returned error: 40[17]'; then
    report_trouble "$where requires credentials that this job does not have"
  elif has_trouble -e "repository '.*' not found" -e 'repository not found' -e 'not appear to be a git repository' \
    -e 'not a git repository' -e 'repository not exported' -e 'returned error: 4\(04\|10\)'; then
    report_trouble "there is no repository at $where"
  elif has_trouble -e 'host key verification failed' -e 'host identification has changed'; then
    report_trouble "the host key of $where does not match the known key"
  elif has_trouble -e 'certificate problem' -e 'certificate verif' -e 'certificate subject' -e 'issuer certificate' &&
    ! has_trouble -e 'not yet valid'; then
    report_trouble "this image does not trust the certificate of $where"
  elif has_trouble -e 'mismatched algorithms'; then
    report_trouble "the commit's hash and $where are of different kinds (SHA-1 and SHA-256)"
  elif has_trouble -e 'no space left' -e 'quota exceeded' -e 'read-only file system' -e 'file too large'; then
    report_trouble "the guest's disk has no room for $where"
  else
    is_impossible
  fi
}

# Like is_permanent, for reasons other than the credentials and the repository.
is_impossible() {
  if has_trouble -e 'is not a git command' -e 'unable to find remote helper' -e "transport '.*' not allowed" \
    -e 'cannot run ssh' -e 'bad/illegal format' -e 'url rejected' -e 'protocol ".*" not supported' -e 'strange .*name' \
    -e 'port number was not' -e 'from redirection'; then
    report_trouble "git in this image cannot fetch from $where"
  elif has_trouble -e 'dubious ownership' -e 'unable to negotiate' -e 'no matching host key' -e 'access denied' ||
    { has_trouble -e 'returned error: 4' && ! has_trouble -e 'returned error: 4\(08\|2[59]\)'; }; then
    report_trouble "$where refuses this job"
  else
    return 1
  fi
}

is_network() {
  has_trouble -e 'unable to access' -e 'unable to connect' -e 'unable to look up' -e 'could not resolve' -e 'timed out' \
    -e 'could not read from remote' -e 'early eof' -e 'hung up' -e 'rpc failed' -e 'unexpected disconnect'
}

# True when the host has reported that its firewall blocks the server, and the server does not answer; then reports the
# remedy.
is_closed() {
  [ -n "${SOLSTICE_CHECKOUT_CLOSED:-}" ] && is_network && report_trouble "$SOLSTICE_CHECKOUT_CLOSED"
}

# Fetches the commit alone if the server allows that, else all refs. Returns 75 when another attempt may succeed.
fetch_commit() {
  if fetch --depth 1 origin "$SOLSTICE_COMMIT"; then return; fi
  is_permanent && return 128
  is_closed && return 128
  is_network && return 75
  # The server answers, but does not serve this commit by its hash: perhaps a ref contains it.
  echo "$where does not serve the commit by its hash; fetching refs"
  if [ -n "$SOLSTICE_REF" ] && fetch origin "$SOLSTICE_REF" && has_commit; then return; fi
  if fetch --tags origin '+refs/heads/*:refs/remotes/origin/*'; then
    has_commit && return
    report_trouble "commit $SOLSTICE_COMMIT does not exist in $where"
    return 128
  fi
  is_permanent && return 128
  return 75
}

fetch_patiently() {
  attempt=1
  while :; do
    fetch_commit
    result=$?
    [ $result = 75 ] || return $result
    if [ $attempt -ge $fetch_attempts ]; then
      report_trouble "fetching from $where failed after $attempt attempts"
      return 128
    fi
    sleep $((attempt * 2))
    attempt=$((attempt + 1))
  done
}

# Creates the repository with the commit's kind of hash: 64 digits are SHA-256. An old git supports only SHA-1.
create_repository() {
  case ${#SOLSTICE_COMMIT} in
    64)
      git -c init.defaultBranch=main init -q --object-format=sha256 . && return
      report_trouble "git in this image is too old for $where, a SHA-256 repository"
      return 128
      ;;
    *) git -c init.defaultBranch=main -c init.defaultObjectFormat=sha1 init -q . ;;
  esac
}

main() {
  where=$(without_password "$SOLSTICE_REPO_URL")
  if ! command -v git >/dev/null 2>&1; then
    report_trouble "git is not installed in this image; $where cannot be checked out"
    return 127
  fi
  prepare_credentials || return
  # Variables of the job may name another repository; use the one in the working directory.
  unset GIT_DIR GIT_WORK_TREE GIT_COMMON_DIR GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES \
    GIT_CONFIG GIT_NAMESPACE GIT_PREFIX GIT_SHALLOW_FILE GIT_GRAFT_FILE GIT_REPLACE_REF_BASE GIT_DEFAULT_HASH
  # No person can type a password, and a silent server must time out.
  : "${GIT_HTTP_LOW_SPEED_LIMIT:=1}" "${GIT_HTTP_LOW_SPEED_TIME:=30}"
  : "${GIT_SSH_COMMAND:=ssh -o BatchMode=yes -o ConnectTimeout=30 -o StrictHostKeyChecking=accept-new}"
  # is_permanent and is_network match English texts.
  GIT_TERMINAL_PROMPT=0 LC_ALL=C
  export GIT_HTTP_LOW_SPEED_LIMIT GIT_HTTP_LOW_SPEED_TIME GIT_SSH_COMMAND GIT_TERMINAL_PROMPT LC_ALL
  create_repository && git remote add origin "$SOLSTICE_REPO_URL" || return
  fetch_patiently || return
  # git uses the credential helper or the key file from here on, not this variable.
  unset SOLSTICE_CHECKOUT_SECRET
  git checkout -q --detach "$SOLSTICE_COMMIT" || return
  git --no-pager log -1 --no-decorate --format='HEAD is now at %h %s'
}

main
