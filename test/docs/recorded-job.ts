/** A job that leaves everything that a backup must contain, for the tests of back-up-and-restore.md. */

/** A secret for the host, before its start. */
export const withSecrets = `cat >/etc/solstice/secrets.yaml <<END
secrets:
  DEPLOY_KEY: { value: first-value, without_repository: true }
END
chmod 600 /etc/solstice/secrets.yaml
echo SECRETS_FILE=/etc/solstice/secrets.yaml >>/etc/solstice/orchestrator.env`;

/** Runs the job. Leaves its id in `$recorded`. */
export const jobWithEverything = `cat >job.yaml <<'END'
script: |
  printf length-; printf %s "$DEPLOY_KEY" | wc -c
  head -c 100000 /dev/urandom >kept
secrets: [DEPLOY_KEY]
artifacts: [{ paths: [kept] }]
END
solstice enqueue --no-repo --file job.yaml --wait | tee job.log
recorded=$(sed -n 's/^Job \\([a-z0-9]*\\) succeeded.*/\\1/p' job.log)`;

/** Prints the job's log, its verdict, the digest of its fetched file, and the identity of the host. */
export const printJob = `solstice logs "$recorded"
solstice jobs --json "$recorded" | grep -A 5 '"verdict"'
rm -rf fetched && solstice artifacts get "$recorded" -o fetched >/dev/null
(cd fetched && sha256sum kept)
cat /var/lib/solstice/host-id`;
