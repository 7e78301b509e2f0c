/** The packages of single modalities: each is loaded when a file of its kind is first read, and none needs to be there. */
import { UnmaskError } from "@unmask/core";

interface Peers {
  readonly image: typeof import("@unmask/image");
  readonly audio: typeof import("@unmask/audio");
  readonly video: typeof import("@unmask/video");
  readonly pointcloud: typeof import("@unmask/pointcloud");
}

const loaders: { readonly [Name in keyof Peers]: () => Promise<Peers[Name]> } = {
  image: () => import("@unmask/image"),
  audio: () => import("@unmask/audio"),
  video: () => import("@unmask/video"),
  pointcloud: () => import("@unmask/pointcloud"),
};

/** @throws UnmaskError that names the package to install, and what it was needed for */
export async function peer<Name extends keyof Peers>(name: Name, what: string): Promise<Peers[Name]> {
  return loadPeer(`@unmask/${name}`, what, loaders[name]);
}

/** As {@link peer}, from any loader. */
export async function loadPeer<T>(specifier: string, what: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ERR_MODULE_NOT_FOUND" || !message.includes(specifier)) throw error;
    throw new UnmaskError(`${what} needs ${specifier}, which is not installed; npm install ${specifier}`, {
      cause: error,
    });
  }
}
