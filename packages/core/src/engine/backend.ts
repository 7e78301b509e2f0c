import * as tf from "@tensorflow/tfjs";
import { UnmaskError } from "../errors.js";

/**
 * Makes a registered TensorFlow.js backend the current one; the former one stays when that fails.
 * A backend made by another copy of tfjs-core is refused: its tensors would be of classes that ours does not know.
 */
export async function activateBackend(name: string): Promise<tf.KernelBackend> {
  const former = tf.getBackend() as string | undefined;
  const refuse = async (reason: string): Promise<never> => {
    if (former !== undefined && former !== name) await tf.setBackend(former);
    throw new UnmaskError(reason);
  };
  if (tf.findBackendFactory(name) === null)
    return refuse(`no "${name}" backend was registered with the tfjs in use`);
  if (!(await tf.setBackend(name))) return refuse(`the "${name}" backend did not initialise`);
  await tf.ready();
  const backend = tf.backend();
  if (!(backend instanceof tf.KernelBackend))
    return refuse(
      `two copies of @tensorflow/tfjs-core are loaded, and the "${name}" backend belongs to the other one; ` +
        `give every @tensorflow package the same version (${tf.version_core}) and run "npm dedupe"`,
    );
  greetQuietly(backend);
  return backend;
}

/**
 * Lets a CPU backend take its first tensor while TensorFlow.js is in production mode: that is when it prints
 * a banner in Node, advice that does not hold for a user who chose an engine.
 */
function greetQuietly(backend: tf.KernelBackend): void {
  const env = tf.env();
  const production = env.getBool("PROD");
  env.set("PROD", true);
  try {
    const id = backend.write(new Float32Array(1), [1], "float32");
    backend.disposeData(id);
  } finally {
    env.set("PROD", production);
  }
}
