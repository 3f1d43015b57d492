"""Images become indexed TFRecords, and indexed TFRecords become tf.data pipelines."""
