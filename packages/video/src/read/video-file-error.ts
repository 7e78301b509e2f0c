/** Why a file gives no clip; the reader names the file. Threads that decode load nothing of core. */
export class VideoFileError extends Error {
  override name = "VideoFileError";
}
