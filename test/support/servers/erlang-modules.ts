import { globSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";

/** The folder of Erlang's libraries in Debian. */
const libraries = "/usr/lib/erlang/lib";

/** The RabbitMQ application that needs the others. */
const broker = "rabbit";

/** RabbitMQ puts its plugins before all other directories in which Erlang looks for a module, in reversed order of their names. */
const lastByName = "zz_modules-1.0.0";

/**
 * Makes a plugins directory for the RabbitMQ whose programs are in `programs`: the applications that it always needs,
 * and one application that has a link to each of their modules and of Erlang's. A broker loads some 500 modules, and
 * Erlang searches up to 90 directories for each: with this directory before the others a start takes 1.8 s of
 * processor time, and 3.3 s without.
 */
export function makePluginsDirectory(directory: string, programs: string): void {
  const plugins = join(realpathSync(join(programs, "rabbitmq-server")), "../../plugins");
  const needed = applicationsOf(plugins, broker);
  const modules = join(directory, lastByName, "ebin");
  mkdirSync(modules, { recursive: true });
  for (const folder of needed) symlinkSync(join(plugins, folder), join(directory, folder));
  const files = [join(plugins, `{${[...needed].join(",")}}`), join(libraries, "*")].flatMap((folders) =>
    globSync(join(folders, "ebin/*.beam")),
  );
  for (const file of files) symlinkSync(file, join(modules, basename(file)));
}

/** The folders of an application and of all its dependencies that are plugins. */
function applicationsOf(plugins: string, application: string): ReadonlySet<string> {
  const folders = readdirSync(plugins);
  const found = new Set<string>();
  const add = (name: string) => {
    const folder = folders.find((each) => each.startsWith(`${name}-`));
    if (folder === undefined || found.has(folder)) return;
    found.add(folder);
    const text = readFileSync(join(plugins, folder, "ebin", `${name}.app`), "utf8");
    const names = /\{\s*applications\s*,\s*\[([^\]]*)\]/.exec(text)?.[1] ?? "";
    for (const each of names.split(",")) add(each.trim());
  };
  add(application);
  return found;
}
