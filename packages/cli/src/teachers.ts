/** Frozen models that a method learns from, by path. */
import { disposeTree, type Method, type Model } from "@unmask/core";
import { describeModel } from "@unmask/core/node";
import { UsageError } from "./errors.js";
import { checksumOf, openModel, recordOf } from "./models.js";
import type { RunData } from "./run.js";

type Recorded = NonNullable<RunData["teachers"]>;

export interface OpenedTeachers {
  readonly teachers: Readonly<Record<string, Model>>;
  /** What the run's config.json keeps of them; absent where there are none. */
  readonly recorded?: Recorded;
  dispose(): void;
}

/**
 * Folders by role, from `role=FOLDER`, or FOLDER alone where a method has one role.
 * @param known folders of roles that need not be given again
 * @throws UsageError where a role is unknown, missing or given twice
 */
export function readTeachers(
  { id, teachers: roles = {} }: Method,
  given: readonly string[],
  known: Readonly<Record<string, string>> = {},
): Map<string, string> {
  const names = Object.keys(roles);
  if (names.length === 0 && given.length > 0)
    throw new UsageError(`${id} learns from no teacher; leave out --teacher`);
  const folders = new Map<string, string>();
  for (const text of given) {
    const named = names.find((name) => text.startsWith(`${name}=`));
    const role = named ?? (names.length === 1 && !text.includes("=") ? names[0] : undefined);
    if (role === undefined)
      throw new UsageError(`--teacher ${text}: give role=FOLDER; the roles of ${id} are ${names.join(", ")}`);
    if (folders.has(role))
      throw new UsageError(`--teacher ${text}: ${id} has one ${role} teacher, and it is given already`);
    folders.set(role, named === undefined ? text : text.slice(named.length + 1));
  }
  for (const [role, folder] of Object.entries(known)) if (!folders.has(role)) folders.set(role, folder);
  const missing = names.filter((role) => !folders.has(role));
  if (missing.length > 0)
    throw new UsageError(
      `${id} learns from frozen models: ${missing.map((role) => `give --teacher ${role}=FOLDER, ${roles[role]}`).join("; ")}`,
    );
  return folders;
}

/** Opens each folder's model; an engine must be running. */
export async function openTeachers(folders: ReadonlyMap<string, string>): Promise<OpenedTeachers> {
  const teachers: Record<string, Model> = {};
  const recorded: Recorded = {};
  const dispose = () => {
    for (const { params } of Object.values(teachers)) disposeTree(params);
  };
  try {
    for (const [role, folder] of folders) {
      const { model, description } = await openModel(folder);
      teachers[role] = model;
      recorded[role] = await recordOf(description);
    }
  } catch (error) {
    dispose();
    throw error;
  }
  return { teachers, recorded: folders.size === 0 ? undefined : recorded, dispose };
}

/**
 * The teachers that a run was begun with.
 * @param given folders by role, where they were moved
 * @throws UsageError where a folder holds other weights than were recorded
 */
export async function reopenTeachers(
  method: Method,
  recorded: Recorded = {},
  given: readonly string[] = [],
): Promise<OpenedTeachers> {
  const known = Object.fromEntries(Object.entries(recorded).map(([role, { path }]) => [role, path]));
  const folders = readTeachers(method, given, known);
  for (const [role, folder] of folders) {
    const { weights } = await describeModel(folder).catch((error: Error) => {
      throw new UsageError(
        `${error.message}; if the ${role} teacher was moved, give --teacher ${role}=FOLDER`,
      );
    });
    const { checksum } = recorded[role] ?? {};
    if (checksum !== undefined && (await checksumOf(weights)) !== checksum)
      throw new UsageError(
        `${folder} does not hold the weights of the ${role} teacher that the run was begun with; give --teacher ${role}=FOLDER`,
      );
  }
  return openTeachers(folders);
}
