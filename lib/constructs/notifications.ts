import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Rule } from 'aws-cdk-lib/aws-events';
import { SnsTopic } from 'aws-cdk-lib/aws-events-targets';
import { Effect, type IGrantable, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { SynthError } from '../synthError.ts';

export interface NotificationsProps {
  /** Once in an account and region. */
  readonly topicName: string;
  /** Each confirms its subscription by a link before anything arrives. @default none: subscribe to the topic yourself */
  readonly emails?: readonly string[];
}

/** One topic for what a person should know: results of workflows, alarms, and what happens to keys. */
export class Notifications extends Construct {
  readonly topic: Topic;
  /** Encrypts the topic, and queues of what could not be delivered. */
  readonly key: Key;

  /** @throws SynthError for what is not an address */
  constructor(scope: Construct, id: string, { topicName, emails = [] }: NotificationsProps) {
    super(scope, id);
    for (const email of emails) {
      if (!/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email))
        throw new SynthError('emails', 'addresses such as a@b.example', email);
    }
    this.key = new Key(this, 'Key', {
      description: 'Holdfast: notifications and queues',
      enableKeyRotation: true,
      rotationPeriod: Duration.days(90),
      removalPolicy: RemovalPolicy.DESTROY, // it protects messages of two weeks at most
    });
    // Alarms and rules publish under their own name, not under a role.
    for (const service of ['cloudwatch', 'events']) {
      this.key.addToResourcePolicy(
        new PolicyStatement({
          principals: [new ServicePrincipal(`${service}.amazonaws.com`)],
          actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
          resources: ['*'],
        }),
      );
    }
    this.topic = new Topic(this, 'Topic', { topicName, masterKey: this.key, enforceSSL: true });
    // A topic with a policy of its own lets in nobody but whom that names; that rules publish is added by their target.
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsPublish',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: {
          ArnLike: {
            'aws:SourceArn': Stack.of(this).formatArn({
              service: 'cloudwatch',
              resource: 'alarm',
              resourceName: '*',
              arnFormat: ArnFormat.COLON_RESOURCE_NAME,
            }),
          },
        },
      }),
    );
    for (const email of emails) this.topic.addSubscription(new EmailSubscription(email));
    const targets = [new SnsTopic(this.topic)];
    new Rule(this, 'KeyEvents', {
      description: 'A key was rotated, or is gone',
      eventPattern: { source: ['aws.kms'], detailType: ['KMS CMK Rotation', 'KMS CMK Deletion'] },
      targets,
    });
    // While it can still be called off: of a key that waits for its deletion, KMS itself says nothing.
    new Rule(this, 'KeyThreats', {
      description: 'A key is about to be deleted, was disabled, or rotates no more',
      eventPattern: {
        source: ['aws.kms'],
        detailType: ['AWS API Call via CloudTrail'],
        detail: {
          eventSource: ['kms.amazonaws.com'],
          eventName: ['ScheduleKeyDeletion', 'DisableKey', 'DisableKeyRotation'],
        },
      },
      targets,
    });
  }

  /** To publish to this topic, which takes its key too. */
  grantPublish(grantee: IGrantable): void {
    const allow = (actions: string[], resource: string) =>
      grantee.grantPrincipal.addToPrincipalPolicy(
        new PolicyStatement({ effect: Effect.ALLOW, actions, resources: [resource] }),
      );
    allow(['sns:Publish'], this.topic.topicArn);
    allow(['kms:Decrypt', 'kms:GenerateDataKey'], this.key.keyArn);
  }
}
